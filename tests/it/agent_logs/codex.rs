//! Codex: re-emitted counters, forks, subagents, pages, archives.

use super::*;

/// A thread's file.
struct Rollout {
    lines: Vec<Value>,
    second: u32,
}

/// Input, cached input, output, reasoning.
type Vector = [u64; 4];

impl Rollout {
    fn new(id: &str, more: Value) -> Self {
        let mut meta =
            json!({"id": id, "cwd": "/home/me/acme", "model_provider": "openai", "originator": "t3code_desktop"});
        meta.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let mut rollout = Self {
            lines: Vec::new(),
            second: 0,
        };
        rollout.push("session_meta", meta);
        rollout.push("turn_context", json!({"model": "gpt-made-up", "cwd": "/home/me/acme"}));
        rollout
    }

    fn push(&mut self, kind: &str, payload: Value) {
        self.second += 10;
        let at = format!("2026-11-20T10:{:02}:{:02}.000Z", self.second / 60, self.second % 60);
        self.lines
            .push(json!({"timestamp": at, "ordinal": self.lines.len(), "type": kind, "payload": payload}));
    }

    fn counted(mut self, total: Vector, last: Vector) -> Self {
        let usage = |[input, cached, output, reasoning]: Vector| {
            json!({"input_tokens": input, "cached_input_tokens": cached, "output_tokens": output,
                "reasoning_output_tokens": reasoning, "total_tokens": input + output})
        };
        let info = json!({"total_token_usage": usage(total), "last_token_usage": usage(last)});
        self.push(
            "event_msg",
            json!({"type": "token_count", "info": info, "rate_limits": null}),
        );
        self
    }

    /// The lines of `other` again, all within some milliseconds.
    fn with_copy_of(mut self, other: &Self) -> Self {
        for (at, line) in other.lines.iter().enumerate() {
            let mut line = line.clone();
            line["timestamp"] = format!("2026-11-20T11:00:00.{at:03}Z").into();
            self.lines.push(line);
        }
        self.second = 4000 - 60 * 10;
        self
    }

    fn put(&self, home: &Home, name: &str) {
        put(home, &format!(".codex/{name}"), &lines(&self.lines));
    }
}

const PARENT: &str = "sessions/2026/11/20/rollout-2026-11-20T10-00-00-parent.jsonl";
const CHILD: &str = "sessions/2026/11/20/rollout-2026-11-20T11-00-00-child.jsonl";

fn parent() -> Rollout {
    Rollout::new("parent", json!({}))
        .counted([100, 40, 10, 4], [100, 40, 10, 4])
        .counted([300, 200, 30, 4], [200, 160, 20, 0])
}

#[test]
fn a_counter_that_is_emitted_again_is_no_request() {
    let home = home();
    let rollout = parent()
        .counted([300, 200, 30, 4], [200, 160, 20, 0])
        .counted([350, 200, 31, 4], [50, 0, 1, 0]);
    rollout.put(&home, PARENT);
    import(&home);
    assert_eq!(totals(&home), [3, 350, 31, 200, 0]);
    assert_eq!(groups(&home, "agent"), [("codex".to_owned(), 3)]);
    assert_eq!(groups(&home, "model"), [("openai/gpt-made-up".to_owned(), 3)]);
    import(&home);
    assert_eq!(totals(&home)[0], 3);
    expect_whole(&home);
}

#[test]
fn a_counter_that_falls_begins_anew() {
    let home = home();
    parent().counted([70, 0, 7, 0], [70, 0, 7, 0]).put(&home, PARENT);
    import(&home);
    assert_eq!(totals(&home), [3, 370, 37, 200, 0]);
}

#[test]
fn forks_do_not_pay_for_what_they_copied_and_siblings_pay_each_for_equal_turns() {
    let home = home();
    parent().put(&home, PARENT);
    for sibling in ["one", "two"] {
        Rollout::new(sibling, json!({"forked_from_id": "parent"}))
            .with_copy_of(&parent())
            .counted([400, 200, 40, 4], [100, 0, 10, 0])
            .put(&home, &CHILD.replace("child", sibling));
    }
    import(&home);
    assert_eq!(totals(&home), [4, 300 + 100 + 100, 30 + 10 + 10, 200, 0]);
    expect_whole(&home);
}

#[test]
fn a_child_that_begins_with_its_parents_total_pays_for_nothing_of_it() {
    let home = home();
    let child = Rollout::new(
        "child",
        json!({"source": {"subagent": {"thread_spawn": {"parent_thread_id": "gone"}}}}),
    )
    .counted([90_000, 80_000, 900, 0], [0, 0, 0, 0])
    .counted([90_100, 80_000, 905, 0], [100, 0, 5, 0]);
    child.put(&home, CHILD);
    import(&home);
    assert_eq!(totals(&home), [1, 100, 5, 0, 0]);
}

#[test]
fn a_child_of_a_parent_that_turns_up_later_is_corrected() {
    let home = home();
    let slow = |mut rollout: Rollout| {
        // Not so fast that the copy would be seen by its pace.
        for (at, line) in rollout.lines.iter_mut().enumerate() {
            line["timestamp"] = format!("2026-11-20T11:{at:02}:00Z").into();
        }
        rollout
    };
    let child = Rollout::new("child", json!({"forked_from_id": "parent"}))
        .with_copy_of(&parent())
        .counted([400, 200, 40, 4], [100, 0, 10, 0]);
    slow(child).put(&home, CHILD);
    import(&home);
    let before = totals(&home);
    assert_eq!(before, [3, 400, 40, 200, 0], "nothing shows that two are copies");
    parent().put(&home, PARENT);
    let told = import(&home);
    assert_eq!(told["agents"][0]["taken_back"], 2, "{told}");
    assert_eq!(totals(&home), [3, 400, 40, 200, 0]);
    let sessions = groups(&home, "session");
    assert_eq!(sessions, [("child".to_owned(), 1), ("parent".to_owned(), 2)]);
    expect_whole(&home);
}

#[test]
fn a_burst_at_the_beginning_is_a_copy_where_the_parent_is_gone() {
    let home = home();
    let gone = parent().counted([350, 200, 31, 4], [50, 0, 1, 0]);
    Rollout::new("child", json!({"forked_from_id": "gone"}))
        .with_copy_of(&gone)
        .counted([400, 200, 40, 4], [50, 0, 9, 0])
        .put(&home, CHILD);
    import(&home);
    assert_eq!(totals(&home), [1, 50, 9, 0, 0]);
}

#[test]
fn pages_of_a_thread_go_on_and_a_fork_at_the_second_page_begins_there() {
    let home = home();
    parent().put(&home, PARENT);
    let second = Rollout::new(
        "parent",
        json!({"history_mode": "paginated", "history_base": {"thread_id": "parent"}}),
    )
    .counted([300, 200, 30, 4], [200, 160, 20, 0])
    .counted([360, 200, 36, 4], [60, 0, 6, 0]);
    second.put(&home, &PARENT.replace("10-00-00-parent", "10-30-00-parent_2"));
    let base =
        json!({"forked_from_id": "parent", "history_base": {"thread_id": "parent", "end_byte_offset": 1_000_000}});
    Rollout::new("child", base)
        .counted([360, 200, 36, 4], [0, 0, 0, 0])
        .counted([365, 200, 40, 4], [5, 0, 4, 0])
        .put(&home, CHILD);
    import(&home);
    assert_eq!(totals(&home), [4, 300 + 60 + 5, 30 + 6 + 4, 200, 0]);
    expect_whole(&home);
}

#[test]
fn an_archived_thread_counts_once() {
    let home = home();
    parent().put(&home, PARENT);
    parent().put(&home, "archived_sessions/rollout-2026-11-20T10-00-00-parent.jsonl");
    import(&home);
    assert_eq!(totals(&home), [2, 300, 30, 200, 0]);
    fs::remove_file(home.beside(&format!(".codex/{PARENT}"))).unwrap();
    import(&home);
    assert_eq!(totals(&home), [2, 300, 30, 200, 0]);
}

#[test]
fn requests_before_the_first_named_model_are_of_that_model() {
    let home = home();
    let mut rollout = parent();
    let context = rollout.lines.remove(1);
    rollout.lines.insert(2, context);
    rollout.put(&home, PARENT);
    import(&home);
    assert_eq!(groups(&home, "model"), [("openai/gpt-made-up".to_owned(), 2)]);
}
