//! Tokens of a text by family: held against the vocabularies that the families publish.

use std::fmt::Write as _;

use api_keys::domain::{ModelFamily, Tokenizer};
use tiktoken::{CoreBpe, encoding};

/// Languages that vocabularies know more or less well.
const SENTENCES: &[&str] = &[
    "كل صباح كانت تمشي على ضفة النهر قبل أن تستيقظ المدينة. كان الماء رماديا وبطيئا، وعندما مر القطار الأول عادت إلى البيت لتعمل.",
    "हर सुबह वह शहर के जागने से पहले नदी के किनारे टहलती थी। पानी धूसर और धीमा था, और जब पहली रेलगाड़ी गुज़री तो वह काम करने घर लौट आई।",
    "每天早上,她都会在城市醒来之前沿着河边散步。河水灰蒙蒙的,流得很慢。第一班火车经过时,她转身回家工作。",
    "毎朝、街が目を覚ます前に彼女は川沿いを歩いた。水は灰色でゆっくり流れ、最初の電車が通ると彼女は仕事をしに家へ帰った。",
    "매일 아침 그녀는 도시가 깨어나기 전에 강가를 걸었다. 물은 회색이고 느렸으며 첫 기차가 지나가면 그녀는 일하러 집으로 돌아갔다.",
    "Каждое утро она гуляла вдоль реки, пока город ещё спал. Вода была серой и медленной, и когда проходил первый поезд, она возвращалась домой работать.",
    "Κάθε πρωί περπατούσε δίπλα στο ποτάμι πριν ξυπνήσει η πόλη. Το νερό ήταν γκρίζο και αργό, και γύριζε σπίτι για να δουλέψει.",
    "ทุกเช้าเธอเดินเลียบแม่น้ำก่อนที่เมืองจะตื่น น้ำเป็นสีเทาและไหลช้า เมื่อรถไฟขบวนแรกผ่านไปเธอก็กลับบ้านไปทำงาน",
    "Jeden Morgen ging sie am Fluss entlang, bevor die Stadt erwachte. Das Wasser war grau und träge, und als der erste Zug fuhr, kehrte sie um und ging nach Hause arbeiten.",
    "Chaque matin, elle marchait le long de la rivière avant que la ville ne s'éveille. L'eau était grise et lente, et au passage du premier train elle rentrait travailler.",
    "Każdego ranka szła wzdłuż rzeki, zanim miasto się obudziło. Woda była szara i powolna, a gdy przejechał pierwszy pociąg, wracała do domu, żeby pracować.",
    "Mỗi buổi sáng cô đi dọc bờ sông trước khi thành phố thức dậy. Nước xám và chảy chậm, khi chuyến tàu đầu tiên đi qua cô quay về nhà làm việc.",
];

/// Texts of many kinds, each of a few hundred to two thousand bytes.
fn corpus() -> Vec<String> {
    let mut texts: Vec<String> = SENTENCES.iter().map(|text| (*text).to_owned()).collect();
    let code = [
        include_str!("../../src/domain/tokenizer.rs"),
        include_str!("../../src/mcp/server.rs"),
        include_str!("../../benches/stdio.py"),
        include_str!("../../Cargo.toml"),
        include_str!("../../README.md"),
        include_str!("snapshots/it__mcp__check_budget.snap"),
    ];
    for text in code {
        let from = |at: usize| text.floor_char_boundary(at * 2_000);
        texts.extend((0..3).filter_map(|at| Some(text.get(from(at)..from(at + 1))?.to_owned())));
    }
    let mut number = 1_u64;
    let mut next = move || {
        number = number
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        number >> 20
    };
    for _ in 0..3 {
        let (mut hex, mut log, mut csv, mut table) = (String::new(), String::new(), String::new(), String::new());
        for _ in 0..20 {
            let _ = writeln!(hex, "{:011x}{:011x}{:011x}", next(), next(), next());
            let _ = writeln!(
                log,
                "2026-11-{:02}T{:02}:{:02}:{:02}.{:03}Z WARN [worker-{}] id={:x} status=429 duration_ms={} path=/v1/chat",
                next() % 29 + 1,
                next() % 24,
                next() % 60,
                next() % 60,
                next() % 1000,
                next() % 40,
                next(),
                next() % 9000
            );
            let _ = writeln!(
                csv,
                "{},widget {},{}.{:02},{}",
                next() % 99_999,
                next() % 9,
                next() % 999,
                next() % 100,
                next() % 500
            );
            let _ = writeln!(
                table,
                "| model {} | {}.{} | {} |",
                next() % 9,
                next() % 99,
                next() % 9,
                next() % 99_999
            );
        }
        let bytes: Vec<u8> = (0..900).map(|_| u8::try_from(next() % 256).unwrap_or(0)).collect();
        texts.extend([hex, log, csv, table, data_encoding::BASE64.encode(&bytes)]);
    }
    texts
}

#[test]
fn ratios_are_right_within_their_margins_on_hard_texts() {
    let corpus = corpus();
    let published: [(ModelFamily, fn() -> CoreBpe); 7] = [
        (ModelFamily::Llama, encoding::llama3),
        (ModelFamily::DeepSeek, encoding::deepseek_v3),
        (ModelFamily::Qwen, encoding::qwen2),
        (ModelFamily::Mistral, encoding::mistral_v3),
        (ModelFamily::Glm, encoding::glm5),
        (ModelFamily::Kimi, encoding::kimi_k2),
        (ModelFamily::MiniMax, encoding::minimax_m2),
    ];
    for (family, open) in published {
        let vocabulary = open();
        let mut off = Vec::new();
        let mut within = 0;
        for text in &corpus {
            let truth = vocabulary.count(text) as u64;
            let told = Tokenizer::Like(family).count(text);
            let percent = told.tokens.abs_diff(truth) * 100 / truth;
            within += usize::from(percent <= u64::from(told.margin_percent));
            off.push((percent, text.chars().take(20).collect::<String>()));
        }
        off.sort_unstable();
        let (ninetieth, _) = off[off.len() * 9 / 10];
        assert!(ninetieth <= 15, "{family:?}: {:?}", &off[off.len() * 8 / 10..]);
        assert!(
            within * 10 >= corpus.len() * 9,
            "{family:?}: {within} of {}: {off:?}",
            corpus.len()
        );
    }
}

/// Tokens of [`SENTENCES`], then of three rounds of hexadecimal, logs, CSV, tables and base64, in Gemma 3's vocabulary,
/// which is too large to keep here.
const OF_GEMMA: &[u64] = &[
    39, 43, 38, 39, 42, 41, 54, 40, 41, 41, 53, 38, 619, 1_268, 410, 374, 844, 599, 1_265, 414, 378, 829, 605, 1_276,
    412, 377, 844,
];

#[test]
fn geminis_ratio_is_right_within_its_margin_by_the_vocabulary_of_gemma() {
    let corpus = corpus();
    let (sentences, made) = (&corpus[..SENTENCES.len()], &corpus[corpus.len() - 15..]);
    let texts: Vec<&String> = sentences.iter().chain(made).collect();
    assert_eq!(texts.len(), OF_GEMMA.len());
    let within = texts.iter().zip(OF_GEMMA).filter(|(text, truth)| {
        let told = Tokenizer::Like(ModelFamily::Gemini).count(text);
        told.tokens.abs_diff(**truth) * 100 <= **truth * u64::from(told.margin_percent)
    });
    assert!(within.count() * 10 >= texts.len() * 9);
}

#[test]
fn an_openai_text_in_stretches_is_counted_as_in_one_piece() {
    let vocabularies = [
        (Tokenizer::O200k, encoding::o200k_base()),
        (Tokenizer::Cl100k, encoding::cl100k_base()),
    ];
    let whole = corpus().join("\n");
    for (tokenizer, vocabulary) in vocabularies {
        let truth = vocabulary.count(&whole) as u64;
        let told = tokenizer.count(&whole);
        assert!(
            told.tokens.abs_diff(truth) * 200 <= truth,
            "{} for {truth}",
            told.tokens
        );
    }
}
