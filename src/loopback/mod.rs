//! What every page on the loopback address demands of a browser: any web page, and any other server of this machine, can
//! send requests here.

mod browser;

pub(crate) use browser::{SITE, is_from_page, is_visit, protect, the_only};
