//! Lines as messages, and what is answered to those that are none.

use std::io;

use rmcp::{
    RoleServer,
    model::{
        ClientRequest, ContentBlock, CustomRequest, ErrorCode, ErrorData, JsonRpcMessage, RequestId, RequestMetaObject,
        ServerResult,
    },
    service::{RxJsonRpcMessage, TxJsonRpcMessage},
};
use serde_json::Value;

use crate::{
    error::{Code, Error},
    providers,
};

/// A message from the client.
pub(super) type FromClient = RxJsonRpcMessage<RoleServer>;
/// A message to the client.
pub(super) type ToClient = TxJsonRpcMessage<RoleServer>;

/// What a line is.
pub(super) enum Incoming {
    Message(FromClient),
    /// It gets this answer and goes no further.
    Refused(ToClient),
    /// Several messages, which only one revision of the protocol knows.
    Batch(Vec<u8>),
}

/// What `line` is; nothing where it needs no answer.
pub(super) fn read(line: &[u8]) -> Option<Incoming> {
    // RFC 8259 lets a parser pass over a byte order mark.
    let line = line.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(line).trim_ascii();
    match line.first()? {
        b'[' => Some(Incoming::Batch(line.to_vec())),
        _ => read_one(line),
    }
}

/// What one `message` is; nothing where it needs no answer.
pub(super) fn read_one(message: &[u8]) -> Option<Incoming> {
    match serde_json::from_slice::<FromClient>(message) {
        Ok(JsonRpcMessage::Request(request)) => Some(match refusal(&request.id, &request.request) {
            Some(refusal) => Incoming::Refused(refusal),
            None => Incoming::Message(JsonRpcMessage::Request(request)),
        }),
        Ok(message) => Some(Incoming::Message(message)),
        Err(_) => unreadable(message).map(Incoming::Refused),
    }
}

/// Why a request goes no further, where it does not.
fn refusal(id: &RequestId, request: &ClientRequest) -> Option<ToClient> {
    if is_key(id) {
        let error = Error::new(Code::KeyInWrongPlace, "the id of the request looks like an API key")
            .hint("treat that key as exposed: rotate it; ids are numbers or random text");
        let data = Some(error.to_json());
        return Some(JsonRpcMessage::error(
            ErrorData::invalid_request(error.message().to_owned(), data),
            None,
        ));
    }
    match request {
        // The library takes it for a method that it does not know, which it is where each request says its revision.
        ClientRequest::CustomRequest(custom) if custom.method == "initialize" && !says_revision(custom) => {
            Some(JsonRpcMessage::error(
                ErrorData::invalid_params(not_initialize(custom.params.as_ref()), None),
                Some(id.clone()),
            ))
        }
        _ => None,
    }
}

/// Whether an id, which would be repeated, has the form of a key.
pub(super) fn is_key(id: &RequestId) -> bool {
    match id {
        RequestId::String(id) => providers::has_key_form(id),
        RequestId::Number(_) => false,
    }
}

type IsKind = fn(&Value) -> bool;

/// Whether a request says which revision it is of, as those without a session do.
fn says_revision(request: &CustomRequest) -> bool {
    let meta = request.extensions.get::<RequestMetaObject>();
    meta.is_some_and(|meta| meta.protocol_version().is_some())
}

/// What the parameters of `initialize` lack.
fn not_initialize(params: Option<&Value>) -> String {
    let has =
        |path: &str, is_kind: fn(&Value) -> bool| params.and_then(|params| params.pointer(path)).is_some_and(is_kind);
    let needed: [(&str, &str, IsKind); 5] = [
        ("/protocolVersion", "a text `protocolVersion`", Value::is_string),
        ("/capabilities", "an object `capabilities`", Value::is_object),
        ("/clientInfo", "an object `clientInfo`", Value::is_object),
        ("/clientInfo/name", "a text `clientInfo.name`", Value::is_string),
        ("/clientInfo/version", "a text `clientInfo.version`", Value::is_string),
    ];
    let lacks = needed.iter().find(|(path, _, is_kind)| !has(path, *is_kind));
    lacks.map_or_else(
        || "the parameters of `initialize` do not have its form".to_owned(),
        |(_, what, _)| format!("`initialize` needs {what}"),
    )
}

/// What is answered to `message`, which cannot be read; nothing to what expects no answer.
fn unreadable(message: &[u8]) -> Option<ToClient> {
    let Ok(value) = serde_json::from_slice::<Value>(message) else {
        return Some(JsonRpcMessage::error(
            ErrorData::parse_error("the line is not JSON", None),
            None,
        ));
    };
    let has = |field: &str| value.get(field).is_some();
    if has("method") && !has("id") {
        return None;
    }
    let id = value.get("id").and_then(|id| match id {
        Value::Number(number) => number.as_i64().map(RequestId::Number),
        Value::String(text) => Some(RequestId::String(text.as_str().into())),
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => None,
    });
    // The id of an answer is one of ours.
    let id = id.filter(|id| has("method") && !is_key(id));
    Some(JsonRpcMessage::error(
        ErrorData::invalid_request("the message does not have the form of JSON-RPC 2.0", None),
        id,
    ))
}

/// Writes `message` as JSON.
///
/// A tool's result is there as text. Its structured form is that text once more, as it is: the library would make a tree
/// of it, which costs more than most calls.
pub(super) fn write(message: &ToClient, bytes: &mut Vec<u8>) -> io::Result<()> {
    serde_json::to_writer(&mut *bytes, message)?;
    if let JsonRpcMessage::Response(response) = message
        && let ServerResult::CallToolResult(result) = &response.result
        && result.structured_content.is_none()
        && let [ContentBlock::Text(text)] = result.content.as_slice()
        && bytes.ends_with(END_OF_RESULT)
    {
        bytes.truncate(bytes.len() - END_OF_RESULT.len());
        bytes.extend_from_slice(b",\"structuredContent\":");
        bytes.extend_from_slice(text.text.as_bytes());
        bytes.extend_from_slice(END_OF_RESULT);
    }
    Ok(())
}

/// How a response ends: with its result, which is an object.
const END_OF_RESULT: &[u8] = b"}}";

/// The answer to a line that is too long to be read.
pub(super) fn too_long() -> Incoming {
    Incoming::Refused(invalid("the line is longer than 16 MiB"))
}

/// The answer to what is no request of this protocol.
pub(super) fn invalid(message: &'static str) -> ToClient {
    JsonRpcMessage::error(ErrorData::new(ErrorCode::INVALID_REQUEST, message, None), None)
}
