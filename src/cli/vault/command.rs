//! The command vault and its subcommands.

use std::process::ExitCode;

use clap::ArgMatches;
use serde_json::{Value, json};

use super::{
    arguments::{self, KINDS},
    slots::{find_slot, new_slots, slots_json, slots_of, slots_table},
};
use crate::{
    cli::{
        caller::Terminal,
        command::{CommandDef, Run, Session, wait},
        console::Console,
        help::HelpSection,
    },
    domain::{Passphrase, Secret},
    error::{Code, Error, Result},
    services::{
        caller::{Caller, Question},
        vault_access,
    },
    settings::MasterKey,
    storage::vault::{Committed, NewSlot, SlotInfo, SlotKind, Unlock, VaultError, VaultFreshness, VaultStatus},
    tools::view::{Block, Tone, View},
};

pub(in crate::cli) const COMMAND: CommandDef = CommandDef {
    name: "vault",
    section: HelpSection::Setup,
    define: arguments::define,
    run: Run::With(run),
};

fn run(session: &Session, matches: &ArgMatches) -> Result<ExitCode> {
    let Some((name, matches)) = matches.subcommand() else {
        return Err(Error::new(Code::Internal, "`vault` was parsed without a command"));
    };
    let work = Work {
        session,
        matches,
        caller: Terminal::for_passphrases(session, matches),
    };
    match name {
        "init" => work.init(),
        "status" => return work.status(),
        "unlock-check" => work.unlock_check(),
        "passwd" => work.passwd(),
        "add-slot" => work.add_slot(),
        "remove-slot" => work.remove_slot(),
        "rekey" => work.rekey(),
        "recover" => work.recover(),
        "accept-rollback" => work.accept_rollback(),
        _ => Err(Error::new(Code::Internal, "a command was parsed that does not exist")),
    }?;
    Ok(ExitCode::SUCCESS)
}

/// One of the commands at work.
struct Work<'a> {
    session: &'a Session,
    matches: &'a ArgMatches,
    caller: Terminal,
}

impl Work<'_> {
    fn init(&self) -> Result<()> {
        let app = &self.session.app;
        let master_key = self.master_key().unwrap_or(app.settings().required()?.vault.master_key);
        let (mut made, warnings) = wait(vault_access::create(app, &self.caller, master_key))?;
        if self.matches.get_flag("recovery-code") {
            let now = app.now();
            let recovery = self.settled(app.vault().add_slot(now, ACTOR, NewSlot::Recovery)?);
            made.slots.extend(recovery.slots);
            made.recovery_code = recovery.recovery_code;
        }
        for warning in &warnings {
            self.warn(warning);
        }
        let file = app.vault().path();
        self.made(
            &format!("Created the vault {}", file.display()),
            &made.slots,
            made.recovery_code.as_ref(),
        )?;
        if made.recovery_code.is_none() && !self.session.console.is_json() {
            self.session.console.remark(&Block::Hint(
                "`api-keys vault add-slot recovery` creates a recovery code that opens the vault if all else is lost"
                    .to_owned(),
            ));
        }
        Ok(())
    }

    fn status(&self) -> Result<ExitCode> {
        let app = &self.session.app;
        let file = app.vault().path();
        if matches!(app.vault().status()?, VaultStatus::Absent) {
            let folder = app.settings().paths().data_folder().display();
            let view = View::line(Tone::Plain, format!("No vault in {folder}")).and(Block::Hint(
                "`api-keys setup` creates one; so does adding the first key".to_owned(),
            ));
            self.tell(&json!({"state": "absent", "file": file, "slots": []}), &view)?;
            return Ok(ExitCode::SUCCESS);
        }
        let opened = wait(vault_access::open_unasked(app)).and_then(|()| vault_access::standing(app));
        let status = app.vault().status()?;
        let slots = slots_of(&status);
        let (state, said, tone) = match &opened {
            Ok(None) => ("unlocked", "opens", Tone::Good),
            Ok(Some(_)) => ("unlocked", "opens, read-only", Tone::Attention),
            Err(error) if error.code() == Code::VaultLocked => {
                ("locked", "is locked: it needs its passphrase", Tone::Attention)
            }
            Err(_) => ("unavailable", "does not open", Tone::Bad),
        };
        let mut view = View::line(tone, format!("{} {said}", file.display()))
            .and(Block::Line(Tone::Plain, "Any of these keyslots opens it:".to_owned()))
            .and(slots_table(slots));
        let mut result = json!({"state": state, "file": file, "slots": slots_json(slots)});
        if let (Ok(warning), Value::Object(fields)) = (&opened, &mut result) {
            fields.insert("standing".to_owned(), json!(standing(app.vault().contents()?.standing)));
            view = warning.iter().cloned().map(Block::Warning).fold(view, View::and);
        }
        let problem = opened.as_ref().err().filter(|error| error.code() != Code::VaultLocked);
        if let (Some(error), Value::Object(fields)) = (problem, &mut result) {
            fields.insert(
                "problem".to_owned(),
                error.to_json().get("error").cloned().unwrap_or_default(),
            );
            view = view.and(Block::Warning(error.message().to_owned()));
            view = error
                .hint_text()
                .map(|hint| Block::Hint(hint.to_owned()))
                .into_iter()
                .fold(view, View::and);
        }
        self.tell(&result, &view)?;
        Ok(if problem.is_some() {
            ExitCode::FAILURE
        } else {
            ExitCode::SUCCESS
        })
    }

    /// Prints what a program or a person reads.
    fn tell(&self, json: &Value, view: &View) -> Result<()> {
        if self.session.console.is_json() {
            Console::json(json)
        } else {
            self.session.console.view(view)
        }
    }

    fn unlock_check(&self) -> Result<()> {
        self.open()?;
        let vault = self.session.app.vault();
        let contents = vault.contents()?;
        let view = View::line(Tone::Good, format!("The vault opens (version {})", contents.generation));
        let warning = vault_access::standing(&self.session.app)?.map(Block::Warning);
        let view = warning.into_iter().fold(view, View::and);
        self.tell(
            &json!({"state": "unlocked", "generation": contents.generation, "standing": standing(contents.standing)}),
            &view,
        )
    }

    fn passwd(&self) -> Result<()> {
        self.expect_slot(SlotKind::Passphrase)?;
        let app = &self.session.app;
        let old = match app.settings().passphrase_from_environment() {
            Some(passphrase) => passphrase,
            None => self.ask(Question::Passphrase)?,
        };
        app.vault().unlock(Unlock::Passphrase(&old))?;
        let new = self.ask(Question::NewPassphrase)?;
        let made = self.settled(app.vault().change_passphrase(app.now(), ACTOR, &old, &new)?);
        self.made("Changed the passphrase", &made.slots, None)
    }

    fn add_slot(&self) -> Result<()> {
        self.open()?;
        let app = &self.session.app;
        let name = self
            .matches
            .get_one::<String>("kind")
            .map(String::as_str)
            .unwrap_or_default();
        let Some((_, kind)) = KINDS.iter().find(|(known, _)| *known == name) else {
            return Err(Error::new(
                Code::Internal,
                "a kind of slot was parsed that does not exist",
            ));
        };
        let passphrase = self.passphrase_for(&[*kind])?;
        let slots = new_slots(&[*kind], passphrase.as_ref());
        for slot in slots {
            let made = self.settled(app.vault().add_slot(app.now(), ACTOR, slot)?);
            self.made("Added a keyslot", &made.slots, made.recovery_code.as_ref())?;
        }
        let status = app.vault().status()?;
        let has = |kind| slots_of(&status).iter().any(|slot| slot.kind == kind);
        if has(SlotKind::KeyFile) && has(SlotKind::Keychain) {
            self.warn(
                "the key file now opens the vault without the keychain: if the whole folder is restored from an old copy, that \
                 is no longer detected",
            );
        }
        Ok(())
    }

    fn remove_slot(&self) -> Result<()> {
        self.open()?;
        let app = &self.session.app;
        let named = self
            .matches
            .get_one::<String>("slot")
            .map(String::as_str)
            .unwrap_or_default();
        let status = app.vault().status()?;
        let id = find_slot(slots_of(&status), named)?;
        self.session
            .console
            .confirm(&format!("Remove the keyslot {named}?"), self.matches)?;
        let gone = self.settled(app.vault().remove_slot(app.now(), ACTOR, id)?);
        self.made("Removed a keyslot", std::slice::from_ref(&gone), None)
    }

    fn rekey(&self) -> Result<()> {
        self.open()?;
        let app = &self.session.app;
        let kinds: Vec<SlotKind> = slots_of(&app.vault().status()?).iter().map(|slot| slot.kind).collect();
        self.session.console.confirm(
            "Replace the encryption key, every passphrase and every recovery code?",
            self.matches,
        )?;
        let passphrase = self.passphrase_for(&kinds)?;
        let slots = new_slots(&kinds, passphrase.as_ref());
        let made = self.settled(app.vault().rekey(app.now(), ACTOR, &kinds, &slots)?);
        self.made(
            "Re-encrypted everything; only these keyslots open the vault now",
            &made.slots,
            made.recovery_code.as_ref(),
        )
    }

    fn recover(&self) -> Result<()> {
        self.expect_slot(SlotKind::Recovery)?;
        let app = &self.session.app;
        let code = self.caller.recovery_code()?;
        let recover = |slot: NewSlot<'_>| Ok::<_, Error>(app.vault().recover(app.now(), ACTOR, &code, &[slot])?);
        let made = match self.master_key().unwrap_or(MasterKey::Auto) {
            MasterKey::Keychain => recover(NewSlot::Keychain)?,
            MasterKey::KeyFile => recover(NewSlot::KeyFile)?,
            MasterKey::Passphrase => recover(NewSlot::Passphrase(&self.ask(Question::NewPassphrase)?))?,
            MasterKey::Auto => match recover(NewSlot::Keychain) {
                Err(error) if error.code() == Code::KeychainUnavailable => recover(NewSlot::KeyFile)?,
                outcome => outcome?,
            },
        };
        let made = self.settled(made);
        self.made(
            "Opened the vault with the recovery code and added a keyslot",
            &made.slots,
            None,
        )
    }

    fn accept_rollback(&self) -> Result<()> {
        let app = &self.session.app;
        if self.matches.get_flag("recovery") {
            self.expect_slot(SlotKind::Recovery)?;
            app.vault().unlock(Unlock::Recovery(&self.caller.recovery_code()?))?;
        } else {
            self.open().map_err(|error| self.or_by_recovery(error))?;
        }
        self.session.console.confirm(
            "Keys added or rotated since then are lost. Take this file for the right one?",
            self.matches,
        )?;
        let (before, begins_trail) = self.settled(app.vault().accept_rollback(app.now(), ACTOR)?);
        let said = match (before, begins_trail) {
            (VaultFreshness::Current, false) => "The vault file was the last one written here; nothing was changed",
            (_, false) => "This vault file counts as the right one from now on",
            (_, true) => {
                "This vault file is now accepted as current; a new audit trail starts, and the old one is kept beside it"
            }
        };
        self.tell(
            &json!({"before": standing(before), "new_audit_trail": begins_trail}),
            &View::line(Tone::Good, said),
        )
    }

    /// Why the vault does not open, with the way in that is left where the recovery code is all there is.
    fn or_by_recovery(&self, error: Error) -> Error {
        let is_lost = matches!(
            error.code(),
            Code::KeyFileMissing
                | Code::KeychainEntryMissing
                | Code::VaultForeign
                | Code::VaultLocked
                | Code::WrongPassphrase
        );
        if is_lost && self.expect_slot(SlotKind::Recovery).is_ok() {
            error.hint(
                "with its recovery code: `api-keys vault accept-rollback --recovery`, then `api-keys vault recover`",
            )
        } else {
            error
        }
    }

    /// Fails where no slot of that kind exists, before a secret is typed for nothing.
    fn expect_slot(&self, kind: SlotKind) -> Result<()> {
        let status = self.session.app.vault().status()?;
        if status == VaultStatus::Absent {
            Err(VaultError::Absent.into())
        } else if slots_of(&status).iter().any(|slot| slot.kind == kind) {
            Ok(())
        } else {
            Err(VaultError::NoSlotOfKind(kind).into())
        }
    }

    fn open(&self) -> Result<()> {
        wait(vault_access::open(&self.session.app, &self.caller))
    }

    fn ask(&self, question: Question) -> Result<Passphrase> {
        wait(self.caller.ask(question)).map(Passphrase::new)
    }

    /// A new passphrase, where slots of these kinds need one.
    fn passphrase_for(&self, kinds: &[SlotKind]) -> Result<Option<Passphrase>> {
        if kinds.contains(&SlotKind::Passphrase) {
            self.ask(Question::NewPassphrase).map(Some)
        } else {
            Ok(None)
        }
    }

    fn master_key(&self) -> Option<MasterKey> {
        let name = self.matches.get_one::<String>("master-key")?;
        MasterKey::NAMED
            .iter()
            .find(|(known, _)| known == name)
            .map(|(_, kind)| *kind)
    }

    /// The value of a change that is made, with a warning where a power cut could still take it back.
    fn settled<T>(&self, committed: Committed<T>) -> T {
        let (value, warnings) = vault_access::settle(committed);
        for warning in &warnings {
            self.warn(warning);
        }
        value
    }

    fn warn(&self, text: &str) {
        self.session.console.remark(&Block::Warning(text.to_owned()));
    }

    /// Tells which slots a change was about, and shows a recovery code this once.
    fn made(&self, done: &str, slots: &[SlotInfo], code: Option<&Secret>) -> Result<()> {
        // EXPOSE: shown once to the person who requested it, on the terminal; it is kept nowhere
        let code = code.map(Secret::expose);
        let mut view = View::line(Tone::Good, done).and(slots_table(slots));
        if let Some(code) = code {
            view = view
                .and(Block::Line(Tone::Plain, String::new()))
                .and(Block::Line(Tone::Attention, format!("Recovery code  {code}")))
                .and(Block::Warning(
                    "write the recovery code down and keep it away from this machine: it opens the vault and is not shown again"
                        .to_owned(),
                ));
        }
        self.tell(&json!({"slots": slots_json(slots), "recovery_code": code}), &view)
    }
}

/// What the audit trail calls these commands.
const ACTOR: &str = "cli";

/// How the file stands to the last one written here, as results spell it.
fn standing(standing: VaultFreshness) -> &'static str {
    match standing {
        VaultFreshness::Current => "current",
        VaultFreshness::RolledBack { .. } => "rolled_back",
        VaultFreshness::Forked => "forked",
        VaultFreshness::Foreign => "foreign",
        VaultFreshness::AnchorDamaged => "anchor_damaged",
    }
}
