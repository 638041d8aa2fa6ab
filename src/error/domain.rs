//! Arguments that cannot be what they are given for, as users meet them.

use super::{Code, Error};
use crate::domain::{IdentityError, TokensError};

impl From<IdentityError> for Error {
    fn from(why: IdentityError) -> Self {
        Self::new(Code::InvalidArgument, why.to_string()).hint("`api-keys list` shows the providers and labels in use")
    }
}

impl From<TokensError> for Error {
    fn from(why: TokensError) -> Self {
        Self::new(Code::InvalidArgument, why.to_string())
            .hint("input_tokens includes all prompt tokens, also cached ones; output_tokens includes reasoning")
    }
}
