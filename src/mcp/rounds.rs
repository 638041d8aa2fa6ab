//! Calls that take two rounds: the client gets what is needed, and calls again.
//!
//! What comes back is whatever the client sends. So the state between the rounds is sealed with a
//! key of this process, bound to the tool and its arguments, good for as long as its page, and used once.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
};

use rmcp::model::{ElicitationAction, InputResponses, RequestStateCodec, SealOptions};
use serde::Serialize;
use serde_json::{Map, Value};

use crate::{
    error::{Code, Error, Result},
    intake::{LIFETIME, Ticket},
};

/// What the request for a secret is called in both rounds.
pub(super) const INPUT: &str = "secret";

type Nonce = [u8; 16];

/// The rounds that are open.
pub(super) struct Rounds {
    /// Made when it is first needed: most sessions never ask for anything.
    codec: Mutex<Option<Arc<RequestStateCodec>>>,
    open: Mutex<BTreeMap<Nonce, Arc<Ticket>>>,
}

/// What a second round brings: the page, and what the person said to the client.
pub(super) struct Resumed {
    pub(super) ticket: Arc<Ticket>,
    pub(super) action: ElicitationAction,
}

impl Rounds {
    pub(super) fn new() -> Self {
        Self {
            codec: Mutex::default(),
            open: Mutex::default(),
        }
    }

    /// The state that a second round of the same call brings back.
    pub(super) fn seal(&self, ticket: &Arc<Ticket>, call: &[u8]) -> Result<String> {
        let codec = self.codec()?;
        let nonce: Nonce = random()?;
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        open.retain(|_, ticket| ticket.is_live());
        open.insert(nonce, ticket.clone());
        Ok(codec.seal_with(&nonce, &SealOptions::new().associated_data(call).ttl(LIFETIME)))
    }

    /// What the second round of `call` is about; each state opens once.
    pub(super) fn open(&self, state: &str, call: &[u8], responses: Option<&InputResponses>) -> Result<Resumed> {
        let nonce = self.codec()?.open_with(state, call).map_err(|_| stale())?;
        let nonce: Nonce = nonce.try_into().map_err(|_| stale())?;
        let ticket = self
            .open
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(&nonce)
            .ok_or_else(stale)?;
        let action = responses
            .and_then(|responses| responses.get(INPUT)?.get("action"))
            .and_then(|action| serde_json::from_value(action.clone()).ok())
            // Whoever says nothing has not agreed.
            .unwrap_or(ElicitationAction::Cancel);
        Ok(Resumed { ticket, action })
    }

    fn codec(&self) -> Result<Arc<RequestStateCodec>> {
        let mut codec = self.codec.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(codec) = &*codec {
            return Ok(codec.clone());
        }
        let key: [u8; RequestStateCodec::MIN_KEY_LENGTH] = random()?;
        let made = RequestStateCodec::try_new(key).map_err(|why| no_state().caused_by(why))?;
        Ok(codec.insert(Arc::new(made)).clone())
    }
}

/// What a state is bound to: the tool and its arguments, whatever order they come in.
pub(super) fn call_of(tool: &str, arguments: &Map<String, Value>) -> Vec<u8> {
    let mut call = tool.as_bytes().to_vec();
    call.push(0);
    write_sorted(&mut call, &Value::Object(arguments.clone()));
    call
}

fn write_sorted(out: &mut Vec<u8>, value: &Value) {
    match value {
        Value::Object(map) => {
            let sorted: BTreeMap<&String, &Value> = map.iter().collect();
            out.push(b'{');
            for (name, value) in sorted {
                write(out, name);
                out.push(b':');
                write_sorted(out, value);
                out.push(b',');
            }
            out.push(b'}');
        }
        Value::Array(items) => {
            out.push(b'[');
            for item in items {
                write_sorted(out, item);
                out.push(b',');
            }
            out.push(b']');
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => write(out, value),
    }
}

fn write(out: &mut Vec<u8>, value: &impl Serialize) {
    serde_json::to_writer(out, value).expect("a vector takes everything");
}

fn random<const N: usize>() -> Result<[u8; N]> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(|why| no_state().caused_by(why))?;
    Ok(bytes)
}

fn no_state() -> Error {
    Error::new(
        Code::Internal,
        "the state between two rounds of a call could not be made",
    )
    .hint("use the command line instead: `api-keys add PROVIDER`, `api-keys rotate PROVIDER`")
}

/// One answer for every way in which a state can be wrong.
fn stale() -> Error {
    Error::new(
        Code::InvalidArgument,
        "the request state is not of this call, was used already, or has expired",
    )
    .hint("call the tool again without it")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn call(tool: &str, arguments: Value) -> Vec<u8> {
        match arguments {
            Value::Object(map) => call_of(tool, &map),
            _ => Vec::new(),
        }
    }

    #[test]
    fn the_order_of_arguments_is_nothing_and_their_values_are_everything() {
        let first = call("add", json!({"a": 1, "b": {"c": [1, 2], "d": null}}));
        assert_eq!(first, call("add", json!({"b": {"d": null, "c": [1, 2]}, "a": 1})));
        for other in [
            call("add", json!({"a": 1, "b": {"c": [2, 1], "d": null}})),
            call("add", json!({"a": "1", "b": {"c": [1, 2], "d": null}})),
            call("remove", json!({"a": 1, "b": {"c": [1, 2], "d": null}})),
        ] {
            assert_ne!(first, other);
        }
    }
}
