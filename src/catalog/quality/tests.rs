//! Figures and how models find theirs.

use super::*;

fn known(model: &str) -> Option<ModelQuality> {
    Figures::built_in().of(&model.parse().expect("a model"))
}

#[test]
fn the_figures_built_in_are_complete() {
    let figures = Figures::built_in();
    assert_eq!(figures.source(), "LiveBench 2026-07");
    assert!(figures.models.len() > 30);
    for (name, variants) in &figures.models {
        for (at, variant) in variants.iter().enumerate() {
            for task in Task::ALL {
                let points = variant.points(task);
                assert_eq!(points.is_some(), task != Task::Embeddings, "{name}");
                assert!(points.is_none_or(|points| points.0 <= 10_000), "{name}");
            }
            let twice = variants.iter().skip(at + 1).any(|other| other.effort == variant.effort);
            assert!(!twice, "{name} has one figure for each effort");
        }
    }
    for family in &figures.families {
        assert!(figures.models.contains_key(&normalized(&family.of)), "{}", family.of);
    }
}

#[test]
fn a_tasks_figure_is_the_mean_of_its_categories() {
    let opus = known("claude-opus-4-8").expect("measured");
    let high = opus
        .variants
        .iter()
        .find(|variant| variant.effort == Some(Effort::High))
        .expect("measured");
    assert_eq!(high.row, "claude-opus-4-8-high-effort");
    for (task, points) in [
        (Task::CodeGeneration, 6_819),
        (Task::CodeReview, 6_819),
        (Task::Analysis, 7_804),
        (Task::DataExtraction, 7_804),
        (Task::Chat, 7_250),
        (Task::Summarization, 7_250),
    ] {
        assert_eq!(high.points(task), Some(Points(points)), "{}", task.as_str());
    }
    assert_eq!(Points(7250).to_string(), "72.5");
    assert_eq!(Points(7251).exact().to_string(), "72.51");
}

#[test]
fn the_users_own_figures_go_before_a_file_and_a_file_before_what_is_built_in() {
    let id = |name: &str| name.parse::<ModelId>().expect("a model");
    let file = BUILT_IN
        .replace("\"as_of\": \"2026-07\"", "\"as_of\": \"2026-12\"")
        .replace("8247", "9000");
    assert!(Figures::are_in(&file) && !Figures::are_in("{}"));
    let over = Figures::built_in().with(&Figures::read(&file).expect("figures"));
    assert_eq!(over.source(), "LiveBench 2026-12, else LiveBench 2026-07");
    let own = over.with_own([
        (id("openai/gpt-5.5"), Some(Task::Chat), Points(100)),
        (id("my-model"), None, Points(5_000)),
    ]);
    let points = |figures: &Figures, model: &str, task| {
        let known = figures.of(&id(model)).expect("known");
        known.variants.iter().filter_map(|it| it.points(task)).max()
    };
    assert!(points(&over, "gpt-5.5", Task::CodeReview) > points(Figures::built_in(), "gpt-5.5", Task::CodeReview));
    assert_eq!(points(&own, "gpt-5.5", Task::Chat), Some(Points(100)));
    assert_eq!(
        points(&own, "gpt-5.5", Task::CodeReview),
        points(&over, "gpt-5.5", Task::CodeReview)
    );
    assert_eq!(points(&own, "my-model", Task::Analysis), Some(Points(5_000)));
    assert_eq!(points(&own, "my-model", Task::Embeddings), None);
    assert!(Figures::read(&file.replace("9000", "10001")).is_none());
}

#[test]
fn a_model_is_found_by_any_spelling_of_its_own_name_or_by_its_family() {
    for (model, like) in [
        ("claude-opus-4-8", None),
        ("anthropic/claude-opus-4.8", None),
        ("openai/gpt-oss-120b", None),
        ("gpt-oss:120b", None),
        ("qwen3.6:27b", None),
        ("claude-opus-5-5", Some("claude-opus-4-8")),
        ("anthropic/claude-haiku-5.5", Some("claude-haiku-4-5")),
        ("gpt-6.1-sol", Some("gpt-5.5")),
        ("gemini-3.8-flash", Some("gemini-3.5-flash")),
        ("gemini-3.5-flash-lite", Some("gemini-3.1-flash-lite")),
        ("deepseek/deepseek-v4.1-flash", Some("deepseek-v4-flash")),
    ] {
        let known = known(model).expect(model);
        assert_eq!(known.like.as_deref(), like, "{model}");
    }
    for model in [
        "llama3.2:latest",
        "gemini-omni-1.1-flash",
        "gpt-6-cyber",
        "text-embedding-3-small",
        "opus",
    ] {
        assert_eq!(known(model), None, "{model}");
    }
}

#[test]
fn a_newer_model_inherits_the_efforts_of_its_predecessors_if_it_costs_no_more() {
    let figures = Figures::built_in();
    let id: ModelId = "claude-sonnet-5-5".parse().expect("a model");
    let efforts = |known: &ModelQuality| known.variants.iter().map(|it| it.effort).collect::<Vec<_>>();
    let known = figures.inherited(&id, |_| true).expect("a line");
    let of = |name: &str| figures.of(&name.parse().expect("a model")).expect("measured");
    for predecessor in ["claude-sonnet-5", "claude-sonnet-4-6"] {
        for effort in efforts(&of(predecessor)) {
            assert!(efforts(&known).contains(&effort), "{predecessor}: {effort:?}");
        }
    }
    for variant in of("claude-sonnet-5").variants.iter() {
        let inherited = known
            .variants
            .iter()
            .find(|it| it.effort == variant.effort)
            .expect("inherited");
        assert_eq!(
            inherited.points(Task::Chat),
            variant.points(Task::Chat),
            "the last one goes first"
        );
        assert_eq!(inherited.like.as_deref(), Some("claude-sonnet-5"));
    }
    let other = figures.inherited(&id, |_| false).expect("its family");
    assert_eq!(other, of("claude-sonnet-5-5"), "the family's, as ever");
}
