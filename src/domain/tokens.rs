//! How many tokens a request used.
//!
//! `input` includes cached input, as OpenTelemetry's GenAI conventions count
//! (`gen_ai.usage.input_tokens`); cache reads and writes are parts of it, reasoning is a part of
//! `output`. Providers differ: their answers are converted where they are read, once.

/// The highest count that is taken for one request.
pub const MAX_TOKENS: u64 = 1_000_000_000_000;

/// Tokens of one request, by kind; the parts never exceed their whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Tokens {
    input: u64,
    output: u64,
    cache_read: u64,
    cache_write: u64,
    cache_write_1h: u64,
    reasoning: u64,
}

/// Counts as they were reported, before they are checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct TokenCounts {
    /// All input, cached or not.
    pub input: u64,
    pub output: u64,
    /// The part of `input` that was read from a cache.
    pub cache_read: u64,
    /// The part of `input` that was written to a cache, for however long.
    pub cache_write: u64,
    /// The part of `cache_write` that is kept for an hour.
    pub cache_write_1h: u64,
    /// The part of `output` that was reasoning.
    pub reasoning: u64,
}

/// Counts that cannot be true.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TokensError {
    #[error("argument `{field}` is out of range: the maximum is {}", MAX_TOKENS)]
    TooMany { field: &'static str },
    #[error("{part} cannot exceed `{whole}`, of which they are a part")]
    PartExceedsWhole { part: &'static str, whole: &'static str },
}

impl Tokens {
    /// The counts, if they can be true.
    pub fn new(counts: TokenCounts) -> Result<Self, TokensError> {
        let TokenCounts {
            input,
            output,
            cache_read,
            cache_write,
            cache_write_1h,
            reasoning,
        } = counts;
        for (field, count) in [
            ("input_tokens", input),
            ("output_tokens", output),
            ("cache_read_tokens", cache_read),
            ("cache_write_tokens", cache_write),
            ("reasoning_tokens", reasoning),
        ] {
            if count > MAX_TOKENS {
                return Err(TokensError::TooMany { field });
            }
        }
        let exceeds = |part, whole| Err(TokensError::PartExceedsWhole { part, whole });
        if cache_read + cache_write > input {
            return exceeds("cache_read_tokens and cache_write_tokens together", "input_tokens");
        }
        if cache_write_1h > cache_write {
            return exceeds("cache writes kept for an hour", "cache_write_tokens");
        }
        if reasoning > output {
            return exceeds("reasoning_tokens", "output_tokens");
        }
        Ok(Self {
            input,
            output,
            cache_read,
            cache_write,
            cache_write_1h,
            reasoning,
        })
    }

    /// All input, cached or not.
    pub fn input(&self) -> u64 {
        self.input
    }

    pub fn output(&self) -> u64 {
        self.output
    }

    pub fn cache_read(&self) -> u64 {
        self.cache_read
    }

    /// Everything written to a cache, for however long.
    pub fn cache_write(&self) -> u64 {
        self.cache_write
    }

    /// The part of [`Tokens::cache_write`] that is kept for an hour.
    pub fn cache_write_1h(&self) -> u64 {
        self.cache_write_1h
    }

    /// The part of [`Tokens::output`] that was reasoning.
    pub fn reasoning(&self) -> u64 {
        self.reasoning
    }

    /// Input that no cache had a part in.
    pub fn uncached_input(&self) -> u64 {
        self.input - self.cache_read - self.cache_write
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_never_exceed_their_whole() {
        let good = TokenCounts {
            input: 100,
            output: 10,
            cache_read: 60,
            cache_write: 40,
            cache_write_1h: 40,
            reasoning: 10,
        };
        assert_eq!(Tokens::new(good).map(|tokens| tokens.uncached_input()), Ok(0));
        for bad in [
            TokenCounts { cache_read: 61, ..good },
            TokenCounts {
                cache_write: 41,
                ..good
            },
            TokenCounts {
                cache_write_1h: 41,
                ..good
            },
            TokenCounts { reasoning: 11, ..good },
            TokenCounts {
                input: MAX_TOKENS + 1,
                ..good
            },
        ] {
            assert!(Tokens::new(bad).is_err(), "{bad:?}");
        }
    }
}
