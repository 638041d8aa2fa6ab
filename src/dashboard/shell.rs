//! The page that every fragment is shown in: no data, and what a browser may do with it.

use std::sync::LazyLock;

use maud::{DOCTYPE, Markup, html};

use super::pages::Page;

pub(super) const STYLE: &str = include_str!("style.css");
pub(super) const SCRIPT: &str = include_str!("script.js");
pub(super) const ICON: &str = include_str!("icon.svg");
pub(super) const ICON_PATH: &str = "/ui/icon.svg";

/// The browser's orders: our own style and script, requests to here, and no text becomes markup but by one policy.
pub(super) const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; \
     connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; \
     require-trusted-types-for 'script'; trusted-types fragments";
/// What a page of numbers never needs.
pub(super) const PERMISSIONS: &str = "camera=(), geolocation=(), microphone=(), payment=(), usb=(), serial=(), hid=(), \
     display-capture=(), clipboard-read=()";

/// The address of the style sheet, which changes with it.
pub(super) fn style_path() -> String {
    static PATH: LazyLock<String> = LazyLock::new(|| addressed(STYLE, "css"));
    PATH.clone()
}

/// The same of the script.
pub(super) fn script_path() -> String {
    static PATH: LazyLock<String> = LazyLock::new(|| addressed(SCRIPT, "js"));
    PATH.clone()
}

fn addressed(text: &str, extension: &str) -> String {
    format!("/ui/{:08x}.{extension}", crc32fast::hash(text.as_bytes()))
}

/// The page at the address of `page`, before its data is there.
pub(super) fn page(page: Page) -> Markup {
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                title { (page.title()) " · API Key Manager" }
                link rel="icon" type="image/svg+xml" href=(ICON_PATH);
                link rel="stylesheet" href=(style_path());
                script type="module" src=(script_path()) {}
            }
            body data-page=(page.name()) {
                a .skip href="#main" { "Skip to content" }
                header .bar {
                    (brand())
                    nav aria-label="Pages" {
                        @for other in Page::ALL {
                            a href=(other.path()) aria-current=[(other == page).then_some("page")] data-goto=(other.letter()) { (other.title()) }
                        }
                    }
                    p .live #live role="status" {}
                }
                main #main tabindex="-1" {
                    h1 { (page.title()) }
                    noscript { p .note { "This page needs its script to fetch data. " code { "api-keys dashboard --html FILE" } " writes a report that needs none." } }
                    p .faint #waiting { "Loading…" }
                }
                div #hover .hover aria-hidden="true" hidden {}
                dialog #help aria-labelledby="help-title" {
                    h2 #help-title { "Keyboard" }
                    dl .keys {
                        @for (keys, what) in HELP { dt { kbd { (keys) } } dd { (what) } }
                        @for other in Page::ALL {
                            dt { kbd { "g " (other.letter()) } } dd { (other.title()) }
                        }
                    }
                    p { button type="button" data-close="" { "Close" } }
                }
            }
        }
    }
}

/// What keys do on every page.
const HELP: [(&str, &str); 4] = [
    ("/", "Filter the tables"),
    ("r", "Refresh"),
    ("Esc", "Clear the filter"),
    ("?", "This help"),
];

pub(super) fn brand() -> Markup {
    html! {
        a .brand href="/" {
            svg width="20" height="20" viewBox="0 0 24 24" aria-hidden="true" {
                path fill="none" stroke="currentColor" stroke-width="2" stroke-linecap="round" stroke-linejoin="round"
                    d="M21 2l-2 2m-7.6 7.6a5.5 5.5 0 1 1-7.8 7.8 5.5 5.5 0 0 1 7.8-7.8zm0 0L15.5 7.5m0 0l3 3L22 7l-3-3m-3.5 3.5L19 4" {}
            }
            span { "API Key Manager" }
        }
    }
}
