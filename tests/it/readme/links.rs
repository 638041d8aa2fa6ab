//! Links between the pages, and into them.

use std::{collections::BTreeSet, fs, path::Path};

use super::{Page, pages};

/// The targets of the links in a page, outside its fenced blocks.
fn targets(text: &str) -> Vec<&str> {
    let mut is_prose = true;
    let mut found = Vec::new();
    for line in text.lines() {
        if line.starts_with("```") {
            is_prose = !is_prose;
        } else if is_prose {
            let ends = line.split("](").skip(1);
            found.extend(ends.filter_map(|rest| Some(rest.split_once(')')?.0)));
        }
    }
    found
}

/// The anchors that GitHub makes of a page's headings.
fn anchors(text: &str) -> BTreeSet<String> {
    let mut is_prose = true;
    let mut found = BTreeSet::new();
    for line in text.lines() {
        is_prose ^= line.starts_with("```");
        if is_prose && line.starts_with('#') {
            let title = line.trim_start_matches('#').trim().to_lowercase();
            let kept = title
                .chars()
                .filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
            found.insert(kept.map(|c| if c == ' ' { '-' } else { c }).collect());
        }
    }
    found
}

/// What is wrong with a link, if anything is.
fn fault(page: &Page, target: &str) -> Option<&'static str> {
    let (file, anchor) = target
        .split_once('#')
        .map_or((target, None), |(file, anchor)| (file, Some(anchor)));
    let path = match file {
        "" => page.path.clone(),
        _ => page.path.parent().expect("a folder").join(file),
    };
    if !path.exists() {
        return Some("leads nowhere");
    }
    let anchor = anchor?;
    let text = fs::read_to_string(path).unwrap_or_default();
    (!anchors(&text).contains(anchor)).then_some("has no such heading")
}

#[test]
fn every_link_leads_to_a_file_and_a_heading() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let others = [
        "CONTRIBUTING.md",
        "CHANGELOG.md",
        "src/ARCHITECTURE.md",
        "src/services/routing/ROUTING.md",
    ];
    let others = others.iter().map(|name| Page::read(root.join(name)));
    for page in pages().into_iter().chain(others) {
        for target in targets(&page.text) {
            // Names of modules and items in the pages under `src/` are links of rustdoc, which checks them itself.
            let is_of_rustdoc = page.path.starts_with(root.join("src")) && !target.contains(['/', '.', '#']);
            if is_of_rustdoc || target.contains("::") || target.starts_with("https://") {
                continue;
            }
            let fault = fault(&page, target);
            assert!(
                fault.is_none(),
                "{}: {target} {}",
                page.name(),
                fault.unwrap_or_default()
            );
        }
    }
}

#[test]
fn the_readme_links_every_page() {
    let pages = pages();
    let linked: BTreeSet<&str> = targets(&pages[0].text).into_iter().collect();
    for page in &pages[1..] {
        assert!(linked.contains(page.name().as_str()), "{} is not linked", page.name());
    }
}
