//! Logs: on stderr, of our own modules only.

use std::io::{IsTerminal, stderr};

use tracing_subscriber::{filter::Targets, fmt, layer::SubscriberExt, util::SubscriberInitExt};

/// The only modules that ever log; libraries see whole requests, which may hold a key.
const OURS: &str = "api_keys";

/// Begins to log what `filter` lets through: a level, or `module=level` pairs of our own modules.
pub(super) fn start(filter: Option<&str>) {
    let Some(filter) = filter else { return };
    let layer = fmt::layer()
        .with_writer(stderr)
        .with_ansi(stderr().is_terminal())
        .with_target(true);
    // A second start, in tests, keeps the first.
    let _ = tracing_subscriber::registry()
        .with(layer)
        .with(targets(filter))
        .try_init();
}

/// The filter that `text` asks for, with everything that is not ours left out.
fn targets(text: &str) -> Targets {
    let mut targets = Targets::new();
    for directive in text.split(',').map(str::trim) {
        let (module, level) = directive.split_once('=').unwrap_or((OURS, directive));
        let ours = module == OURS || module.strip_prefix(OURS).is_some_and(|rest| rest.starts_with("::"));
        if let (true, Ok(level)) = (ours, level.parse::<tracing_subscriber::filter::LevelFilter>()) {
            targets = targets.with_target(module, level);
        }
    }
    targets
}

#[cfg(test)]
mod tests {
    use tracing::Level;

    use super::*;

    #[test]
    fn no_filter_lets_a_library_speak() {
        for text in [
            "trace",
            "rmcp=trace",
            "debug,rmcp=trace,hyper=trace",
            "api_keys=trace",
            "api_keysx=trace",
        ] {
            let targets = targets(text);
            for library in ["rmcp", "rmcp::service", "hyper"] {
                assert!(!targets.would_enable(library, &Level::ERROR), "{text} {library}");
            }
        }
        assert!(targets("trace").would_enable("api_keys::mcp", &Level::TRACE));
        assert!(targets("warn,api_keys::mcp=debug").would_enable("api_keys::mcp", &Level::DEBUG));
        assert!(!targets("warn").would_enable("api_keys::mcp", &Level::INFO));
    }
}
