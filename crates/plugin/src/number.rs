//! Exact numbers, as Terraform has them: no digit is lost on the way through the provider.

use std::fmt;
use std::str::FromStr;

use bigdecimal::{BigDecimal, ToPrimitive};

/// How many digits, and how large an exponent, a number may have. Terraform itself keeps about 154 digits; the bound keeps a
/// few hostile bytes (`1e999999999`) from becoming a gigabyte.
const MOST_DIGITS: u64 = 2_000;

/// An exact decimal number.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Number(BigDecimal);

/// Text that is no number, or one beyond what Terraform can hold.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum NumberError {
    /// Not a decimal number.
    #[error("`{0}` is not a number")]
    Malformed(String),
    /// Too many digits.
    #[error("a number may have at most {MOST_DIGITS} digits")]
    TooLarge,
    /// An infinity or not-a-number.
    #[error("infinity and NaN are not supported")]
    NotFinite,
}

impl Number {
    fn checked(decimal: BigDecimal) -> Result<Self, NumberError> {
        let (_, scale) = decimal.as_bigint_and_exponent();
        if scale.unsigned_abs() > MOST_DIGITS || decimal.digits() > MOST_DIGITS {
            return Err(NumberError::TooLarge);
        }
        Ok(Self(decimal.normalized()))
    }

    /// The number that a binary floating-point value stands for, exactly.
    ///
    /// # Errors
    /// For infinities and NaN.
    pub fn from_f64(value: f64) -> Result<Self, NumberError> {
        BigDecimal::try_from(value)
            .map_err(|_| NumberError::NotFinite)
            .and_then(Self::checked)
    }

    /// The number as a 64-bit integer, when it is one exactly.
    pub fn as_i64(&self) -> Option<i64> {
        if self.0.is_integer() {
            self.0.to_i64()
        } else {
            None
        }
    }

    /// The number as a binary floating-point value, when that loses nothing.
    pub fn as_exact_f64(&self) -> Option<f64> {
        let value = self.0.to_f64()?;
        let back = BigDecimal::try_from(value).ok()?;
        (back == self.0).then_some(value)
    }
}

impl From<i64> for Number {
    fn from(value: i64) -> Self {
        Self(BigDecimal::from(value).normalized())
    }
}

impl From<u64> for Number {
    fn from(value: u64) -> Self {
        Self(BigDecimal::from(value).normalized())
    }
}

impl FromStr for Number {
    type Err = NumberError;

    fn from_str(text: &str) -> Result<Self, NumberError> {
        let bound = usize::try_from(MOST_DIGITS)
            .unwrap_or(usize::MAX)
            .saturating_mul(2);
        if text.len() > bound {
            return Err(NumberError::TooLarge);
        }
        // BigDecimal accepts `_` between digits; JSON and Terraform do not.
        if text.is_empty()
            || !text
                .bytes()
                .all(|b| b.is_ascii_digit() || matches!(b, b'+' | b'-' | b'.' | b'e' | b'E'))
        {
            return Err(NumberError::Malformed(text.to_owned()));
        }
        BigDecimal::from_str(text)
            .map_err(|_| NumberError::Malformed(text.to_owned()))
            .and_then(Self::checked)
    }
}

impl fmt::Display for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.to_plain_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_compared_by_value_not_by_spelling() -> Result<(), NumberError> {
        assert_eq!("1.50".parse::<Number>()?, "1.5".parse::<Number>()?);
        assert_eq!("1e3".parse::<Number>()?, Number::from(1000_i64));
        Ok(())
    }

    #[test]
    fn no_digit_is_lost() -> Result<(), NumberError> {
        let long = "123456789012345678901234567890.000000000000000000001";
        assert_eq!(long.parse::<Number>()?.to_string(), long);
        assert_eq!("0.1".parse::<Number>()?.as_exact_f64(), None);
        assert_eq!("0.5".parse::<Number>()?.as_exact_f64(), Some(0.5));
        Ok(())
    }

    #[test]
    fn a_few_bytes_cannot_become_a_gigabyte() {
        assert_eq!("1e999999999".parse::<Number>(), Err(NumberError::TooLarge));
        assert!("1e99999999999999999999".parse::<Number>().is_err());
        assert!(matches!(
            "1_000".parse::<Number>(),
            Err(NumberError::Malformed(_))
        ));
        assert_eq!(Number::from_f64(f64::NAN), Err(NumberError::NotFinite));
    }
}
