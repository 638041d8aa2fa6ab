//! Every address of the dashboard in one table: what it needs, and what it answers.

use std::sync::Arc;

use http_body_util::{BodyExt, Limited};
use hyper::{
    Method, StatusCode,
    body::Incoming,
    header::{self, HeaderName, HeaderValue},
};
use maud::html;
use serde_json::{Value, json};

use super::{
    events, export,
    pages::{self, Page},
    parts,
    query::PageQuery,
    response::{Body, json_response, lasting, text},
    shell, snapshot,
    state::DashboardState,
};
use crate::{
    error::{Code, Error, Result},
    loopback,
};

/// The longest body of a request.
const MAX_BODY_BYTES: usize = 4 * 1024;

/// What a request must have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RouteAccess {
    /// Nothing: there is no data in the response.
    Shell,
    /// The ticket that is exchanged here for the token.
    Ticket,
    /// The session's token.
    Token,
}

/// One address.
struct DashboardRoute {
    method: Method,
    path: String,
    access: RouteAccess,
    answer: Answer,
}

/// What an address answers.
#[derive(Debug, Clone, Copy)]
enum Answer {
    Shell(Page),
    Style,
    Script,
    Icon,
    Session,
    Fragment(Page),
    Snapshot,
    Events,
    Export,
    KeyPage,
}

/// All addresses: method, path, and what a request to it must have.
pub fn routes() -> Vec<(String, String, RouteAccess)> {
    let table = table().into_iter();
    table
        .map(|route| (route.method.to_string(), route.path, route.access))
        .collect()
}

fn table() -> Vec<DashboardRoute> {
    let get = |path: String, access, answer| DashboardRoute {
        method: Method::GET,
        path,
        access,
        answer,
    };
    let post = |path: &str, access, answer| DashboardRoute {
        method: Method::POST,
        path: path.to_owned(),
        access,
        answer,
    };
    let shells = Page::ALL
        .into_iter()
        .map(|page| get(page.path(), RouteAccess::Shell, Answer::Shell(page)));
    let fragments = Page::ALL.into_iter().map(|page| {
        let path = format!("/ui/v1/page/{}", page.name());
        get(path, RouteAccess::Token, Answer::Fragment(page))
    });
    let others = [
        get(shell::style_path(), RouteAccess::Shell, Answer::Style),
        get(shell::script_path(), RouteAccess::Shell, Answer::Script),
        get(shell::ICON_PATH.to_owned(), RouteAccess::Shell, Answer::Icon),
        post("/ui/v1/session", RouteAccess::Ticket, Answer::Session),
        get("/ui/v1/snapshot".to_owned(), RouteAccess::Token, Answer::Snapshot),
        get("/ui/v1/events".to_owned(), RouteAccess::Token, Answer::Events),
        get("/ui/v1/export".to_owned(), RouteAccess::Token, Answer::Export),
        post("/ui/v1/key-page", RouteAccess::Token, Answer::KeyPage),
    ];
    shells.chain(fragments).chain(others).collect()
}

/// Checks where a request comes from and what it has, and answers it.
pub(super) async fn answer(state: &Arc<DashboardState>, request: hyper::Request<Incoming>) -> hyper::Response<Body> {
    let mut response = match admitted(state, &request).await {
        Ok(route) => {
            state.used();
            respond(state, &route, request).await
        }
        Err(refusal) => refusal.response(),
    };
    let headers = response.headers_mut();
    let cache = headers.remove(header::CACHE_CONTROL);
    loopback::protect(headers);
    if let Some(cache) = cache {
        headers.insert(header::CACHE_CONTROL, cache);
    }
    for (name, value) in [
        (header::CONTENT_SECURITY_POLICY, shell::POLICY),
        (HeaderName::from_static("cross-origin-embedder-policy"), "require-corp"),
        (HeaderName::from_static("permissions-policy"), shell::PERMISSIONS),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    response
}

/// Why a request is not answered.
enum PageRefusal {
    /// It names another host, or comes from another page.
    Foreign,
    Unknown,
    WrongMethod(&'static str),
    NoToken,
}

impl PageRefusal {
    fn response(&self) -> hyper::Response<Body> {
        let (status, code, message, hint) = match self {
            Self::Foreign => (
                StatusCode::FORBIDDEN,
                Code::ForeignRequest,
                "this request comes from another page",
                "open the link that `api-keys dashboard` prints",
            ),
            Self::Unknown => (StatusCode::NOT_FOUND, Code::NoSuchRoute, "no such page", "start at /"),
            Self::WrongMethod(_) => (
                StatusCode::METHOD_NOT_ALLOWED,
                Code::MethodNotAllowed,
                "this address takes another method",
                "see docs/dashboard.md",
            ),
            Self::NoToken => (
                StatusCode::UNAUTHORIZED,
                Code::ClientKeyInvalid,
                "the session's token is missing or wrong",
                "open the link that `api-keys dashboard` prints",
            ),
        };
        let mut response = json_response(status, &Error::new(code, message).hint(hint).to_json());
        if let Self::WrongMethod(allowed) = self {
            response
                .headers_mut()
                .insert(header::ALLOW, HeaderValue::from_static(allowed));
        }
        response
    }
}

/// The route that the request may use.
async fn admitted(state: &DashboardState, request: &hyper::Request<Incoming>) -> Result<DashboardRoute, PageRefusal> {
    let headers = request.headers();
    // A name that resolves to this machine is not this machine's name (DNS rebinding). A proxy's form of request names a
    // host of its own, and no browser sends it here.
    let host = loopback::the_only(headers, &header::HOST).ok_or(PageRefusal::Foreign)?;
    if request.uri().authority().is_some() || !state.authorities.iter().any(|known| known == host) {
        return Err(PageRefusal::Foreign);
    }
    let at_path: Vec<DashboardRoute> = table()
        .into_iter()
        .filter(|route| route.path == request.uri().path())
        .collect();
    let allowed = match at_path.first().map(|route| &route.method) {
        None => return Err(PageRefusal::Unknown),
        Some(method) if *method == Method::POST => "POST",
        Some(_) => "GET",
    };
    let found = at_path.into_iter().find(|route| route.method == request.method());
    let route = found.ok_or(PageRefusal::WrongMethod(allowed))?;
    let is_ours = match route.answer {
        Answer::Shell(_) => loopback::is_visit(headers),
        _ => loopback::is_from_page(headers, host),
    };
    if !is_ours {
        return Err(PageRefusal::Foreign);
    }
    if route.access == RouteAccess::Token {
        let authorization = loopback::the_only(headers, &header::AUTHORIZATION);
        if !state.sessions.admits(authorization).await {
            return Err(PageRefusal::NoToken);
        }
    }
    Ok(route)
}

async fn respond(
    state: &Arc<DashboardState>,
    route: &DashboardRoute,
    request: hyper::Request<Incoming>,
) -> hyper::Response<Body> {
    let query = PageQuery::read(request.uri().query().unwrap_or_default());
    match route.answer {
        Answer::Shell(page) => text(
            StatusCode::OK,
            "text/html; charset=utf-8",
            shell::page(page).into_string(),
        ),
        Answer::Style => lasting("text/css; charset=utf-8", shell::STYLE),
        Answer::Script => lasting("text/javascript; charset=utf-8", shell::SCRIPT),
        Answer::Icon => lasting("image/svg+xml", shell::ICON),
        Answer::Session => session(state, request).await,
        Answer::Fragment(page) => {
            let context = pages::PageContext::new(state, page, &query);
            let (status, markup) = match pages::fragment(&context).await {
                Ok(markup) => (StatusCode::OK, markup),
                Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, failed(page, &error)),
            };
            // In one place, so that no page can forget it: nothing turns the direction of text.
            let shown = parts::visible(&markup.into_string());
            text(status, "text/html; charset=utf-8", shown)
        }
        Answer::Snapshot => json_response(StatusCode::OK, &snapshot::snapshot(state, &query).await),
        Answer::Events => events::response(state),
        Answer::Export => match export::rows(&state.app, &query) {
            Ok(rows) => text(StatusCode::OK, rows.content_type, rows.text),
            Err(error) => json_response(StatusCode::INTERNAL_SERVER_ERROR, &error.to_json()),
        },
        Answer::KeyPage => key_page(state, request).await,
    }
}

/// A page that could not be made, with what can be done about it.
fn failed(page: Page, error: &Error) -> maud::Markup {
    html! {
        h1 { (page.title()) }
        (parts::error_note(error))
    }
}

/// Exchanges a ticket for the token.
async fn session(state: &DashboardState, request: hyper::Request<Incoming>) -> hyper::Response<Body> {
    let body = body_of(request).await.unwrap_or_default();
    let ticket = body["ticket"].as_str().unwrap_or_default();
    match state.sessions.redeem(ticket).await {
        Some(token) => json_response(StatusCode::OK, &json!({"token": token})),
        None => PageRefusal::NoToken.response(),
    }
}

/// Opens the one-time page on which a key is typed.
async fn key_page(state: &Arc<DashboardState>, request: hyper::Request<Incoming>) -> hyper::Response<Body> {
    let body = body_of(request).await.unwrap_or_default();
    match super::caller::open_key_page(state, &body).await {
        Ok(address) => json_response(StatusCode::OK, &json!({"address": address})),
        Err(error) => json_response(StatusCode::BAD_REQUEST, &error.to_json()),
    }
}

async fn body_of(request: hyper::Request<Incoming>) -> Option<Value> {
    let body = Limited::new(request.into_body(), MAX_BODY_BYTES).collect().await.ok()?;
    serde_json::from_slice(&body.to_bytes()).ok()
}
