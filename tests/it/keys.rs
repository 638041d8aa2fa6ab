//! The life of a key, through the services, at times of our choosing.

use std::{future::Future, pin::Pin};

use api_keys::{
    app::{App, Clock},
    domain::{ApiKey, KeyRecord, KeyState, Label, ProviderId, Secret, VersionState},
    error::{Code, Result},
    services::{
        caller::{Caller, CallerKind, Question},
        child_environment,
        keys::{self, Added, NewKey, NewSecretSource},
        rotation::{self, Rotated, Rotation},
        undo::{self, Undone},
        validation,
    },
    settings::{Environment, Settings},
    storage::{
        audit::Action,
        vault::{NewSlot, SlotKind, VaultStatus},
    },
    tools::{Input, TOOLS},
};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use crate::support::{Home, caller::Silent};

const FIRST: &str = "sk-first-0123456789abcdefghijklmnop";
const SECOND: &str = "sk-second-0123456789abcdefghijklmno";
const THIRD: &str = "sk-third-0123456789abcdefghijklmnop";

/// A model that was given a key in the chat.
struct Chat;

impl Caller for Chat {
    fn kind(&self) -> CallerKind {
        CallerKind::Mcp {
            client: "chat".to_owned(),
        }
    }

    fn ask<'a>(&'a self, question: Question) -> Pin<Box<dyn Future<Output = Result<Secret>> + Send + 'a>> {
        Silent.ask(question)
    }

    fn progress(&self, _: usize, _: usize, _: &str) {}
}

/// A home in which no provider answers.
struct Stage {
    home: Home,
}

impl Stage {
    fn new() -> Self {
        let home = Home::new();
        home.config("[vault]\nmaster_key = \"key-file\"\n[providers.openai]\nbase_url = \"http://127.0.0.1:9/v1\"\n");
        Self { home }
    }

    /// The program as it finds things `hours` after the start.
    fn at(&self, hours: i64) -> App {
        let environment = Environment::of([("API_KEYS_HOME", self.home.path().to_str().unwrap())]);
        App::new(Settings::open(&environment).unwrap(), Clock::Fixed(moment(hours)))
    }
}

fn moment(hours: i64) -> Timestamp {
    "2026-11-01T00:00:00Z".parse::<Timestamp>().unwrap() + SignedDuration::from_hours(hours)
}

pub(crate) fn wait<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap()
        .block_on(work)
}

fn openai() -> ProviderId {
    "openai".parse().unwrap()
}

fn add(app: &App, label: &str, key: &str) -> Result<Added> {
    add_expiring(app, label, key, None)
}

fn add_expiring(app: &App, label: &str, key: &str, expires_at: Option<Timestamp>) -> Result<Added> {
    add_from(&Silent, app, label, key, expires_at)
}

fn add_from(caller: &dyn Caller, app: &App, label: &str, key: &str, expires_at: Option<Timestamp>) -> Result<Added> {
    let new = NewKey {
        provider: app.settings().current().provider("openai").unwrap(),
        label: label.parse().unwrap(),
        description: None,
        expires_at,
        source: NewSecretSource::Argument(Secret::new(key)),
    };
    wait(keys::add(app, caller, new))
}

fn rotate(app: &App, key: &str, grace_hours: i64) -> Result<Rotated> {
    let ask = Rotation {
        provider: app.settings().current().provider("openai").unwrap(),
        label: Label::default(),
        grace: SignedDuration::from_hours(grace_hours),
        expires_at: None,
    };
    wait(rotation::rotate(
        app,
        &Silent,
        ask,
        NewSecretSource::Argument(Secret::new(key)),
    ))
}

fn undo(app: &App) -> Result<(KeyRecord, Undone, Vec<String>)> {
    wait(undo::undo(app, &Silent, None))
}

/// The secret that a child process would get.
fn injected(app: &App) -> Result<String> {
    let wanted = [(openai(), Label::default())];
    let selection = wait(child_environment::select(app, &Silent, &wanted))?;
    let mut revealed = wait(child_environment::reveal(app, &Silent, selection.variables))?;
    let (name, key) = revealed.remove(0);
    assert_eq!(name, "OPENAI_API_KEY");
    // EXPOSE: a made-up key in a test
    Ok(key.expose().to_owned())
}

#[test]
fn a_key_that_is_added_is_there_for_every_later_process() {
    let stage = Stage::new();
    let added = add(&stage.at(0), "default", FIRST).unwrap();
    assert!(!added.replaced);
    assert_eq!(injected(&stage.at(1)).unwrap(), FIRST);
    let listed = {
        let app = stage.at(1);
        wait(api_keys::services::vault_access::open(&app, &Silent)).unwrap();
        keys::list(&app).unwrap()
    };
    assert_eq!(listed.len(), 1);
    assert_eq!(listed[0].key_id, added.record.key_id);
    assert_eq!(listed[0].active().unwrap().masked, "sk-…mnop");
}

#[test]
fn adding_again_replaces_the_secret_and_undo_brings_it_back() {
    let stage = Stage::new();
    let first = add(&stage.at(0), "default", FIRST).unwrap();
    let second = add(&stage.at(1), "default", SECOND).unwrap();
    assert!(second.replaced);
    assert_eq!(second.record.key_id, first.record.key_id);
    assert_eq!(injected(&stage.at(2)).unwrap(), SECOND);
    let (_, undone, _) = undo(&stage.at(3)).unwrap();
    assert_eq!(undone, Undone::Secret);
    assert_eq!(injected(&stage.at(3)).unwrap(), FIRST);
}

#[test]
fn a_secret_that_was_never_in_use_is_none_to_go_back_to() {
    let stage = Stage::new();
    let app = stage.at(0);
    let before = add(&app, "default", FIRST).unwrap().record;
    // As a rotation leaves it that was killed before the new key was checked.
    let entry = keys::general_entry(&app, &Silent, Action::RotateKey);
    let staged = app.vault().change(&entry, |edit| {
        let mut record = before.clone();
        let mut version = record.versions[0].clone();
        version.version = record.next_version();
        version.state = VersionState::Staged;
        record.versions.push(version);
        edit.record(record);
        edit.secret(before.key_id, 2, &ApiKey::parse(&Secret::new(SECOND)).unwrap())
    });
    staged.unwrap().into_inner();
    let replaced = add(&stage.at(1), "default", THIRD).unwrap();
    assert_eq!(replaced.record.versions.len(), 2, "the staged one is gone");
    let (_, undone, _) = undo(&stage.at(2)).unwrap();
    assert_eq!(undone, Undone::Secret);
    assert_eq!(injected(&stage.at(2)).unwrap(), FIRST);
}

#[test]
fn adding_the_same_key_again_changes_its_details_only() {
    let stage = Stage::new();
    add(&stage.at(0), "default", FIRST).unwrap();
    let again = add(&stage.at(1), "default", FIRST).unwrap();
    assert_eq!(again.record.versions.len(), 1);
    assert!(
        again.warnings.iter().any(|warning| warning.contains("already stored")),
        "{:?}",
        again.warnings
    );
    let twin = add(&stage.at(2), "work", FIRST).unwrap();
    assert!(
        twin.warnings.iter().any(|warning| warning.contains("openai:default")),
        "{:?}",
        twin.warnings
    );
}

#[test]
fn a_key_that_turns_up_in_a_chat_is_exposed_although_it_was_stored_before() {
    let stage = Stage::new();
    let added = add(&stage.at(0), "default", FIRST).unwrap();
    assert!(!added.record.active().unwrap().exposed);
    let again = add_from(&Chat, &stage.at(1), "default", FIRST, None).unwrap();
    assert!(again.record.active().unwrap().exposed);
    let typed = add(&stage.at(2), "default", FIRST).unwrap();
    assert!(typed.record.active().unwrap().exposed, "once seen, always seen");
}

#[test]
fn the_expiry_date_stays_with_its_key() {
    let stage = Stage::new();
    let expiry = |app: &App| {
        wait(api_keys::services::vault_access::open(app, &Silent)).unwrap();
        keys::list(app).unwrap().remove(0).expires_at
    };
    let says_cleared = |warnings: &[String]| warnings.iter().any(|warning| warning.contains("expiry"));
    add_expiring(&stage.at(0), "default", FIRST, Some(moment(48))).unwrap();
    // The same key again, without a date.
    let again = add(&stage.at(1), "default", FIRST).unwrap();
    assert_eq!(again.record.expires_at, Some(moment(48)));
    assert!(!says_cleared(&again.warnings));

    let replaced = add(&stage.at(2), "default", SECOND).unwrap();
    assert_eq!(replaced.record.expires_at, None);
    assert!(says_cleared(&replaced.warnings), "{:?}", replaced.warnings);
    undo(&stage.at(3)).unwrap();
    assert_eq!(expiry(&stage.at(3)), Some(moment(48)));

    rotate(&stage.at(4), THIRD, 24).unwrap();
    assert_eq!(expiry(&stage.at(4)), None);
    undo(&stage.at(5)).unwrap();
    assert_eq!(injected(&stage.at(47)).unwrap(), FIRST);
    assert_eq!(injected(&stage.at(48)).unwrap_err().code(), Code::KeyExpired);
    undo(&stage.at(49)).unwrap();
    let (_, _, warnings) = undo(&stage.at(50)).unwrap();
    assert!(
        warnings.iter().any(|warning| warning.contains("no longer used")),
        "{warnings:?}"
    );
    undo(&stage.at(51)).unwrap();
    assert_eq!(injected(&stage.at(1000)).unwrap(), THIRD);
}

#[test]
fn a_removed_key_comes_back_for_thirty_days_and_not_after() {
    let stage = Stage::new();
    add(&stage.at(0), "default", FIRST).unwrap();
    wait(keys::remove(&stage.at(1), &Silent, "openai", &Label::default())).unwrap();
    assert_eq!(injected(&stage.at(2)).unwrap_err().code(), Code::KeyNotFound);
    let (record, undone, _) = undo(&stage.at(1 + 30 * 24)).unwrap();
    assert_eq!((undone, record.state(moment(2))), (Undone::Removal, KeyState::Usable));
    assert_eq!(injected(&stage.at(1 + 30 * 24)).unwrap(), FIRST);

    wait(keys::remove(&stage.at(2000), &Silent, "openai", &Label::default())).unwrap();
    assert_eq!(
        undo(&stage.at(2000 + 30 * 24 + 1)).unwrap_err().code(),
        Code::NothingToUndo
    );
}

#[test]
fn a_label_that_was_given_to_another_key_stops_the_undo_of_a_removal() {
    let stage = Stage::new();
    add(&stage.at(0), "default", FIRST).unwrap();
    wait(keys::remove(&stage.at(1), &Silent, "openai", &Label::default())).unwrap();
    add(&stage.at(2), "default", SECOND).unwrap();
    assert_eq!(undo(&stage.at(3)).unwrap_err().code(), Code::LabelTaken);
    assert_eq!(injected(&stage.at(3)).unwrap(), SECOND);
}

#[test]
fn naming_the_label_of_a_removed_key_swaps_it_with_the_key_that_has_it_now() {
    let stage = Stage::new();
    let first = add(&stage.at(0), "default", FIRST).unwrap().record.key_id;
    wait(keys::remove(&stage.at(1), &Silent, "openai", &Label::default())).unwrap();
    let second = add(&stage.at(2), "default", SECOND).unwrap().record.key_id;
    let (openai, label) = (openai(), Label::default());
    for (hours, back, away, secret) in [
        (3, first, second, FIRST),
        (4, second, first, SECOND),
        (5, first, second, FIRST),
    ] {
        let app = stage.at(hours);
        let (record, undone, warnings) = wait(undo::undo(&app, &Silent, Some((&openai, &label)))).unwrap();
        assert_eq!((record.key_id, undone), (back, Undone::Removal));
        assert!(warnings[0].contains("was removed"), "{warnings:?}");
        let trail = app.vault().recent_audit(1).unwrap();
        assert_eq!(
            (trail[0].action.as_str(), &trail[0].key_id),
            ("remove_key", &Some(away.to_string()))
        );
        assert_eq!(keys::list(&app).unwrap().len(), 1);
        assert_eq!(injected(&app).unwrap(), secret);
    }
}

#[test]
fn rotation_keeps_the_old_secret_through_its_grace_and_then_archives_it() {
    let stage = Stage::new();
    let added = add(&stage.at(0), "default", FIRST).unwrap();
    let rotated = rotate(&stage.at(1), SECOND, 24).unwrap();
    assert_eq!(rotated.record.key_id, added.record.key_id);
    assert_eq!(rotated.record.rotation_count, 1);
    assert!(
        rotated
            .warnings
            .iter()
            .any(|warning| warning.contains("could not be checked")),
        "{:?}",
        rotated.warnings
    );
    let grace = VersionState::Grace {
        retired_at: moment(1),
        usable_until: moment(25),
    };
    assert_eq!(rotated.previous.state, grace);
    assert_eq!(injected(&stage.at(2)).unwrap(), SECOND);

    // The next change writes down that the grace is over.
    let later = add(&stage.at(26), "other", THIRD).unwrap();
    drop(later);
    let app = stage.at(26);
    wait(api_keys::services::vault_access::open(&app, &Silent)).unwrap();
    let record = keys::list(&app)
        .unwrap()
        .into_iter()
        .find(|record| record.label == Label::default())
        .unwrap();
    assert_eq!(
        record.versions[0].state,
        VersionState::Archived { retired_at: moment(1) }
    );

    // Thirty days on, the old secret is gone.
    add(&stage.at(26 + 31 * 24), "third", "sk-fourth-0123456789abcdefghijklmno").unwrap();
    let app = stage.at(26 + 31 * 24);
    wait(api_keys::services::vault_access::open(&app, &Silent)).unwrap();
    let record = keys::list(&app)
        .unwrap()
        .into_iter()
        .find(|record| record.label == Label::default())
        .unwrap();
    assert_eq!(record.versions.len(), 1);
}

#[test]
fn an_expired_key_is_not_said_to_stay_usable_after_its_rotation() {
    let stage = Stage::new();
    for (label, expires_at, until) in [
        ("default", moment(10), None),
        ("soon", moment(21), Some("2026-11-01T21:00:00Z")),
        ("later", moment(1000), Some("2026-11-02T20:00:00Z")),
    ] {
        add_expiring(&stage.at(0), label, &format!("{FIRST}{label}"), Some(expires_at)).unwrap();
        let def = TOOLS.iter().find(|tool| tool.name == "rotate_key").unwrap();
        let arguments = json!({"provider": "openai", "label": label, "new_api_key": format!("{SECOND}{label}")});
        let (app, schema) = (stage.at(20), (def.input_schema)());
        let input = Input::Json {
            arguments: arguments.as_object().unwrap().clone(),
            schema: &schema,
        };
        let answer = wait((def.call)(&app, &Silent, input)).unwrap();
        let answer: Value = serde_json::from_str(&answer.text).unwrap();
        assert_eq!(answer["previous"]["usable_until"], json!(until), "{label}");
    }
}

#[test]
fn a_compromised_key_is_out_of_use_at_once_and_undo_still_knows_it() {
    let stage = Stage::new();
    add(&stage.at(0), "default", FIRST).unwrap();
    let rotated = rotate(&stage.at(1), SECOND, 0).unwrap();
    assert_eq!(rotated.previous.state, VersionState::Archived { retired_at: moment(1) });
    let (record, undone, _) = undo(&stage.at(2)).unwrap();
    assert_eq!((undone, record.rotation_count), (Undone::Secret, 0));
    assert_eq!(injected(&stage.at(2)).unwrap(), FIRST);
    let (record, _, _) = undo(&stage.at(3)).unwrap();
    assert_eq!(record.rotation_count, 1);
    assert_eq!(injected(&stage.at(3)).unwrap(), SECOND);
}

#[test]
fn rotating_to_a_key_of_the_past_is_refused() {
    let stage = Stage::new();
    add(&stage.at(0), "default", FIRST).unwrap();
    assert_eq!(rotate(&stage.at(1), FIRST, 24).unwrap_err().code(), Code::KeyUnchanged);
    rotate(&stage.at(2), SECOND, 0).unwrap();
    assert_eq!(rotate(&stage.at(3), FIRST, 24).unwrap_err().code(), Code::KeyUnchanged);
    assert_eq!(injected(&stage.at(3)).unwrap(), SECOND);
}

#[test]
fn an_expired_key_is_kept_and_never_handed_out() {
    let stage = Stage::new();
    add_expiring(&stage.at(0), "default", FIRST, Some(moment(48))).unwrap();
    assert_eq!(injected(&stage.at(47)).unwrap(), FIRST);
    let refused = injected(&stage.at(48)).unwrap_err();
    assert_eq!(refused.code(), Code::KeyExpired);
    assert!(refused.hint_text().unwrap().contains("rotate"));
    let rotated = rotate(&stage.at(49), SECOND, 24).unwrap();
    assert!(
        rotated.warnings.iter().any(|warning| warning.contains("expiry")),
        "{:?}",
        rotated.warnings
    );
    assert_eq!(injected(&stage.at(50)).unwrap(), SECOND);
}

#[test]
fn a_key_stays_bound_to_the_address_it_was_added_for() {
    let stage = Stage::new();
    add(&stage.at(0), "default", FIRST).unwrap();
    stage
        .home
        .config("[vault]\nmaster_key = \"key-file\"\n[providers.openai]\nbase_url = \"http://127.0.0.1:10/v1\"\n");
    let app = stage.at(1);
    let provider = app.settings().current().provider("openai").unwrap();
    let refused = wait(validation::validate(&app, &Silent, &provider, &Label::default())).unwrap_err();
    assert_eq!(refused.code(), Code::OriginChanged);
    assert_eq!(
        rotate(&stage.at(1), SECOND, 24).unwrap_err().code(),
        Code::OriginChanged
    );
    let again = add(&stage.at(2), "default", SECOND).unwrap();
    assert!(
        again
            .warnings
            .iter()
            .any(|warning| warning.contains("address has changed")),
        "{:?}",
        again.warnings
    );
    assert_eq!(again.record.versions.len(), 1);
}

#[test]
fn an_answer_that_never_came_is_written_down_as_such() {
    let stage = Stage::new();
    add(&stage.at(0), "default", FIRST).unwrap();
    let app = stage.at(1);
    let provider = app.settings().current().provider("openai").unwrap();
    let report = wait(validation::validate(&app, &Silent, &provider, &Label::default())).unwrap();
    assert_eq!(report.validation.status.is_valid(), None);
    let record = keys::list(&app).unwrap().remove(0);
    assert_eq!(
        record.active().unwrap().validation.as_ref().unwrap().validated_at,
        moment(1)
    );
}

#[test]
fn a_check_tells_what_expires_soon() {
    let stage = Stage::new();
    add_expiring(&stage.at(0), "default", FIRST, Some(moment(24 * 8))).unwrap();
    add(&stage.at(0), "other", SECOND).unwrap();
    let app = stage.at(30);
    let (reports, _) = wait(validation::validate_all(&app, &Silent)).unwrap();
    assert_eq!(
        reports[0].warnings,
        ["openai:default expires within 7 days: `api-keys rotate openai:default`"]
    );
    assert!(reports[1].warnings.is_empty());
}

#[test]
fn dates_mean_the_end_of_their_day_and_lie_in_the_future() {
    let now = moment(0);
    assert_eq!(
        keys::expiration_date("2027-01-31", now).unwrap().to_string(),
        "2027-01-31T23:59:59Z"
    );
    assert_eq!(
        keys::expiration_date("2027-01-31T12:00:00+01:00", now)
            .unwrap()
            .to_string(),
        "2027-01-31T11:00:00Z"
    );
    assert_eq!(
        keys::expiration_date("2027-01-31T12:00:00", now).unwrap().to_string(),
        "2027-01-31T12:00:00Z"
    );
    for text in [
        "",
        "soon",
        "2027-13-01",
        "2027-02-30",
        "31.01.2027",
        "2020-01-01",
        "99999-01-01",
        "9999-12-31",
    ] {
        let refused = keys::expiration_date(text, now).unwrap_err();
        assert_eq!(refused.code(), Code::InvalidArgument, "{text}");
        assert!(refused.message().contains("expiration_date"), "{text}");
    }
}

#[test]
fn a_vault_whose_file_is_gone_is_an_error_and_never_a_fresh_start() {
    let stage = Stage::new();
    add(&stage.at(0), "default", FIRST).unwrap();
    let file = stage.home.path().join("vault.json");
    let kept = std::fs::read(&file).unwrap();
    std::fs::remove_file(&file).unwrap();
    let app = stage.at(1);
    assert_eq!(
        wait(api_keys::services::vault_access::open(&app, &Silent))
            .unwrap_err()
            .code(),
        Code::VaultMissing
    );
    assert_eq!(add(&app, "default", SECOND).unwrap_err().code(), Code::VaultMissing);
    assert!(!file.exists());
    std::fs::write(&file, kept).unwrap();
    std::fs::set_permissions(&file, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    assert_eq!(injected(&stage.at(2)).unwrap(), FIRST);
}

#[test]
fn a_vault_file_from_the_past_is_readable_and_says_so() {
    let stage = Stage::new();
    add(&stage.at(0), "default", FIRST).unwrap();
    let file = stage.home.path().join("vault.json");
    let old = std::fs::read(&file).unwrap();
    add(&stage.at(1), "work", SECOND).unwrap();
    std::fs::write(&file, old).unwrap();
    let app = stage.at(2);
    wait(api_keys::services::vault_access::open(&app, &Silent)).unwrap();
    assert!(
        api_keys::services::vault_access::standing(&app)
            .unwrap()
            .unwrap()
            .contains("older")
    );
    assert_eq!(injected(&app).unwrap(), FIRST);
    assert_eq!(add(&app, "third", THIRD).unwrap_err().code(), Code::VaultRolledBack);
}

#[test]
fn there_is_nothing_to_undo_in_a_new_home() {
    let stage = Stage::new();
    assert_eq!(undo(&stage.at(0)).unwrap_err().code(), Code::NothingToUndo);
    assert!(!stage.home.path().join("vault.json").exists());
}

#[test]
fn a_key_comes_in_clean_wherever_it_comes_from() {
    for text in [
        format!("  {FIRST}\r\n"),
        format!("Bearer {FIRST}"),
        format!("\"{FIRST}\""),
        format!("\u{feff}'{FIRST}' \n"),
        format!("{FIRST}\\n"),
    ] {
        let stage = Stage::new();
        let added = add_from(&Chat, &stage.at(0), "default", &text, None).unwrap();
        assert_eq!(injected(&stage.at(0)).unwrap(), FIRST, "{text:?}");
        let told = added.warnings.iter().any(|warning| warning.contains("line end"));
        assert_eq!(told, text.ends_with("\\n"), "{:?}", added.warnings);
    }
}

#[test]
fn what_is_no_key_is_refused_with_a_way_out_and_stores_nothing() {
    let stage = Stage::new();
    let twice = format!("{FIRST}{FIRST}");
    for (text, hint) in [
        ("encrypted:BD9paBaun1p0aZlGfSx0", "dotenvx get"),
        ("${OPENAI_API_KEY}", "--env-var"),
        ("op://vault/openai/key", "--stdin"),
        ("OPENAI_API_KEY=sk-first-0123456789", "after the name"),
        ("ghp_0123456789abcdefghijABCDEFGHIJ012345", "revoke"),
        ("sk-ant-oat01-0123456789abcdef", "console"),
        ("akc_0123456789abcdefghijABCDEFGHIJ", "gateway"),
        (twice.as_str(), "once"),
        ("sk-first-0123456789,sk-second", "alone"),
    ] {
        let error = add(&stage.at(0), "default", text).unwrap_err();
        assert_eq!(error.code(), Code::MalformedKey, "{error}");
        assert!(
            error.hint_text().unwrap().contains(hint),
            "{text}: {error:?} {:?}",
            error.hint_text()
        );
        assert!(!error.to_string().contains("0123456789"), "{error}");
    }
    assert!(!stage.home.path().join("vault.json").exists());
}

#[test]
fn a_key_that_was_removed_meanwhile_is_not_overwritten_by_its_successor() {
    let stage = Stage::new();
    add(&stage.at(0), "default", FIRST).unwrap();
    let app = stage.at(1);
    wait(keys::remove(&app, &Silent, "openai", &Label::default())).unwrap();
    let second = add(&app, "default", SECOND).unwrap();
    assert!(!second.replaced);
    let name = (&openai(), &Label::default());
    wait(undo::undo(&app, &Silent, Some(name))).unwrap();
    assert_eq!(injected(&app).unwrap(), FIRST);
    // At the very same moment, and still in order.
    wait(undo::undo(&app, &Silent, Some(name))).unwrap();
    assert_eq!(injected(&app).unwrap(), SECOND);
}

#[test]
fn a_process_with_an_open_vault_goes_on_after_another_has_replaced_its_key() {
    let stage = Stage::new();
    let (one, other) = (stage.at(0), stage.at(0));
    add(&one, "default", FIRST).unwrap();
    wait(api_keys::services::vault_access::open(&other, &Silent)).unwrap();
    for key in [SECOND, THIRD] {
        let kinds = [SlotKind::KeyFile];
        let rekeyed = one.vault().rekey(one.now(), "test", &kinds, &[NewSlot::KeyFile]);
        drop(rekeyed.unwrap().into_inner());
        assert!(matches!(other.vault().status(), Ok(VaultStatus::Unlocked { .. })));
        add(&other, "default", key).unwrap();
        assert_eq!(injected(&one).unwrap(), key);
    }
}

#[test]
fn expired_keys_are_named_where_there_is_nothing_to_run_with() {
    let stage = Stage::new();
    add_expiring(&stage.at(0), "work", FIRST, Some(moment(1))).unwrap();
    let select = |hours| wait(child_environment::select(&stage.at(hours), &Silent, &[]));
    assert_eq!(
        select(0).unwrap().variables.len(),
        1,
        "the only key of a provider needs no default label"
    );
    let error = select(2).unwrap_err();
    assert_eq!(error.code(), Code::KeyNotFound);
    assert!(error.message().contains("openai:work has expired"), "{error}");
    assert!(
        error
            .hint_text()
            .unwrap()
            .contains("`api-keys rotate openai --label work`")
    );
}
