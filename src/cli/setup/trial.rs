//! The trial: a client's whole day in a folder of its own, with a key that was never one.

use std::{ffi::OsStr, path::Path};

use serde_json::{Value, json};

use crate::{
    app::App,
    cli::{Session, own_server::OwnServer},
    error::{Code, Error, Result},
    mcp_clients::Launch,
    settings::HOME,
    storage::files::Folder,
};

/// A value that has the shape of a key and was never one.
const MADE_UP_KEY: &str = "sk-proj-made-up-for-the-trial-run-0000000000000000";
/// The variable that the trial's server finds it in.
const TRIAL_VARIABLE: &str = "API_KEYS_TRIAL";
/// The trial's folder, inside the data folder.
const TRIAL_FOLDER: &str = "trial";

/// Lets a client's whole day pass in a folder of its own: a key comes in, is listed, removed.
pub(super) fn run(session: &Session, launch: &Launch) -> Result<String> {
    let home = session.app.settings().paths().data_folder().join(TRIAL_FOLDER);
    // What an interrupted trial left behind holds nothing but the made-up key.
    let _ = std::fs::remove_dir_all(&home);
    let folder = Folder::create(&home)?;
    // Whether it survives a power cut does not matter.
    let _ = folder.replace("config.toml", b"[vault]\nmaster_key = \"key-file\"\n")?;
    let outcome = trial(&session.app, launch, &home);
    let _ = std::fs::remove_dir_all(&home);
    outcome
}

fn trial(app: &App, launch: &Launch, home: &Path) -> Result<String> {
    let mut server = OwnServer::start(
        app,
        launch,
        &[(HOME.name, home.as_os_str()), (TRIAL_VARIABLE, OsStr::new(MADE_UP_KEY))],
    )?;
    let added = server.call(
        "add_api_key",
        &json!({"provider": "openai", "label": "trial", "env_var": TRIAL_VARIABLE}),
    )?;
    let masked = added
        .pointer("/key/masked")
        .and_then(Value::as_str)
        .unwrap_or_default()
        .to_owned();
    let listed = server.call("list_api_keys", &json!({}))?;
    server.call("remove_api_key", &json!({"provider": "openai", "label": "trial"}))?;
    let left = server.call("list_api_keys", &json!({}))?;
    server.close()?;
    let counts = [&listed, &left].map(|list| list.get("total_count").and_then(Value::as_u64));
    if counts != [Some(1), Some(0)] {
        return Err(Error::new(Code::Internal, "the trial key was not where it should be")
            .hint("please report this; your own vault was not touched"));
    }
    // EXPOSE: not a secret, a made-up value whose absence is checked
    if [&added, &listed, &left]
        .iter()
        .any(|answer| answer.to_string().contains(MADE_UP_KEY))
    {
        return Err(Error::new(Code::Internal, "an answer over MCP held the trial key")
            .hint("please report this, and don't use this version"));
    }
    Ok(format!(
        "stored a made-up key over MCP, saw it listed as {masked}, removed it; no answer held the key"
    ))
}
