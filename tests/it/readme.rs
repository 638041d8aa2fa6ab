//! The README says what the program does.

use std::{fs, path::Path};

use api_keys::{cli, docs};

#[test]
fn the_tables_of_the_readme_are_current() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md");
    let text = fs::read_to_string(&path).expect("a README");
    let current = docs::with_tables(&text, &cli::command());
    if std::env::var_os("UPDATE_README").is_some() {
        fs::write(&path, &current).expect("a writable README");
    } else {
        assert!(
            text == current,
            "the README's tables are not what the declarations say: run `UPDATE_README=1 cargo test --test it readme`"
        );
    }
    // A name that the generator does not know leaves its place empty.
    for (begin, _) in current.match_indices("<!-- table: ") {
        let table = current[begin..].split("<!-- end -->").next().unwrap_or_default();
        assert!(table.lines().count() > 3, "{table}");
    }
}
