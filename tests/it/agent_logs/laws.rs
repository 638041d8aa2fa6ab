//! Whatever the order of files and imports: the same sums, each request once.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

/// A request, and how much of its answer each of its lines has.
#[derive(Debug, Clone)]
struct Made {
    number: u32,
    counts: [u64; 4],
    states: Vec<u64>,
    has_id: bool,
}

fn made() -> impl Strategy<Value = Vec<Made>> {
    let one = (
        prop::array::uniform4(0..1000_u64),
        prop::collection::vec(1..500_u64, 1..4),
        prop::bool::weighted(0.8),
    );
    prop::collection::vec(one, 1..12).prop_map(|all| {
        let number = |(number, (counts, states, has_id)): (usize, ([u64; 4], Vec<u64>, bool))| {
            let mut total = 0;
            let states = states.into_iter().map(|more| {
                total += more;
                total
            });
            Made {
                number: u32::try_from(number).unwrap(),
                counts,
                states: states.collect(),
                has_id,
            }
        };
        all.into_iter().enumerate().map(number).collect()
    })
}

fn lines_of(made: &Made, session: &str) -> Vec<Value> {
    let [input, _, read, written] = made.counts;
    let (message, request) = (format!("msg_{}", made.number), format!("req_{}", made.number));
    let line = |(at, output): (usize, &u64)| {
        Said {
            session,
            message: &message,
            request: made.has_id.then_some(&request),
            second: made.number * 10 + u32::try_from(at).unwrap(),
            counts: [input, *output, read, written],
        }
        .line()
    };
    made.states.iter().enumerate().map(line).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, ..ProptestConfig::default() })]

    #[test]
    fn any_order_of_files_and_any_split_of_imports_gives_the_same_sums(
        requests in made(),
        cuts in prop::collection::vec(0..12_usize, 1..4),
        order in any::<prop::sample::Index>(),
        split in any::<u8>(),
    ) {
        // Each file has all requests up to its cut, as forks do; the first has all.
        let mut files: BTreeMap<String, Vec<Value>> = BTreeMap::new();
        files.insert("whole".to_owned(), requests.iter().flat_map(|made| lines_of(made, "whole")).collect());
        for (number, cut) in cuts.iter().enumerate() {
            let session = format!("fork-{number}");
            let copied = requests.iter().take(*cut).flat_map(|made| lines_of(made, &session));
            files.insert(session.clone(), copied.collect());
        }
        let mut names: Vec<&String> = files.keys().collect();
        let turns = order.index(names.len());
        names.rotate_left(turns);
        let home = home();
        for (number, name) in names.iter().enumerate() {
            let all = &files[*name];
            // Some files grow between two imports, at any line.
            let first = if split & (1 << number) == 0 { all.len() } else { all.len() / 2 };
            put(&home, &format!(".claude/projects/p/{name}.jsonl"), &lines(&all[..first]));
            if split & (16 << number) != 0 {
                import(&home);
            }
            put(&home, &format!(".claude/projects/p/{name}.jsonl"), &lines(all));
        }
        import(&home);
        let told = import(&home);
        prop_assert_eq!(&told["new"], 0);
        let mut expected = [0; 5];
        for made in &requests {
            let [input, _, read, written] = made.counts;
            let output = made.states.last().unwrap();
            for (sum, count) in expected.iter_mut().zip([1, input + read + written, *output, read, written]) {
                *sum += count;
            }
        }
        prop_assert_eq!(totals(&home), expected);
        expect_whole(&home);
    }
}

#[test]
fn an_import_that_is_killed_at_any_moment_loses_nothing_and_counts_nothing_twice() {
    let home = home();
    let all: Vec<Value> = (0..3000_u32)
        .map(|at| {
            let (message, request) = (format!("msg_{at}"), format!("req_{at}"));
            said(&message, &request, at % 3600, [1, 1, 0, 0]).line()
        })
        .collect();
    for (number, part) in all.chunks(100).enumerate() {
        put(&home, &format!(".claude/projects/p/{number}.jsonl"), &lines(part));
    }
    for pause in [1, 5, 20, 60] {
        let mut child = home
            .command(["import", "logs"])
            .stdout(std::process::Stdio::null())
            .spawn()
            .unwrap();
        std::thread::sleep(std::time::Duration::from_millis(pause));
        let _ = child.kill();
        child.wait().unwrap();
    }
    import(&home);
    assert_eq!(totals(&home), [3000, 3000, 3000, 0, 0]);
    expect_whole(&home);
}
