//! What a budget's window will have cost at its end: a range, where there is enough history for one.
//!
//! Past days, cut at the current time of day, say what is usual for the rest of today and for each day after it; weekends
//! count apart once there are two weeks. Where weeks grow or shrink by more than their noise, past days are brought to
//! today's level and the days to come follow the same growth. A single burst counts as the second highest day, and today
//! so far moves the rest of today. How far days lie apart gives the width, and so does how uncertain the growth is. The
//! factors were set by simulated ledgers (`tests/it/forecast.rs`), of which eight in ten windows have to end within the
//! range.

mod days;
mod growth;
mod range;

pub use self::{
    days::PastDay,
    range::{Forecast, Outlook, forecast},
};
