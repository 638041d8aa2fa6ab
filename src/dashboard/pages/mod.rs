//! The pages: each a file, and a line in [`Page`].

mod audit;
mod doctor;
mod fragment;
mod gateway;
mod keys;
mod logs;
mod models;
mod overview;
mod page;
mod routing;
mod sessions;
mod usage;

pub(super) use self::{
    fragment::fragment,
    overview::overview,
    page::{Page, PageContext},
    usage::usage,
};
