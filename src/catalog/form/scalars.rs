//! Amounts and times of day as files spell them.

use serde::{Deserialize, Deserializer, Serialize, Serializer, de, ser};
use serde_json::value::RawValue;

use crate::{catalog::limits::MAX_PER_MILLION, domain::Billionths};

/// A price as JSON spells it, read from its digits and not through a float.
#[derive(Clone, Copy)]
pub(super) struct Amount(pub(super) Billionths);

/// A minute of the day, spelled `HH:MM`.
#[derive(Clone, Copy)]
pub(super) struct Minute(pub(super) u16);

impl<'de> Deserialize<'de> for Amount {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let raw = <&RawValue>::deserialize(deserializer)?;
        Billionths::parse(raw.get())
            .filter(|amount| *amount <= MAX_PER_MILLION)
            .map(Self)
            .ok_or_else(|| de::Error::custom("not a price"))
    }
}

impl Serialize for Amount {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        RawValue::from_string(self.0.to_string())
            .map_err(ser::Error::custom)?
            .serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Minute {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <&str>::deserialize(deserializer)?;
        let read = || {
            let (hour, minute) = text.split_once(':')?;
            let (hour, minute): (u16, u16) = (hour.parse().ok()?, minute.parse().ok()?);
            (text.len() == 5 && hour <= 24 && minute < 60 && hour * 60 + minute <= 24 * 60).then(|| hour * 60 + minute)
        };
        read().map(Self).ok_or_else(|| de::Error::custom("not a time of day"))
    }
}

impl Serialize for Minute {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        format!("{:02}:{:02}", self.0 / 60, self.0 % 60).serialize(serializer)
    }
}
