//! Exact numbers, as Terraform has them: no digit is lost on the way through the provider.

use std::fmt;
use std::str::FromStr;

use bigdecimal::{BigDecimal, ToPrimitive};
use serde::de::{self, Deserialize, Deserializer, MapAccess, Visitor};
use serde::ser::{Serialize, Serializer};

use super::bridge::NUMBER;

/// How many digits, and how large an exponent, a number may have. Terraform itself keeps about 154 digits; the bound keeps a
/// few hostile bytes (`1e999999999`) from becoming a gigabyte.
const MOST_DIGITS: u64 = 2_000;

/// An exact decimal number, for models whose numbers must not lose a digit. A model may as well have `i64` or `f64`: an `f64` takes the nearest
/// value, and a number that only lost digits in it gets those of the configuration, the plan or the state again.
///
/// ```
/// use tfplugin::number::Number;
///
/// let tenth: Number = "0.1".parse()?;
/// assert_eq!((tenth.to_f64(), tenth.as_exact_f64()), (0.1, None));
/// assert_eq!(Number::shortest(0.1)?, tenth);
/// # Ok::<(), tfplugin::number::NumberError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Number(BigDecimal);

/// A text that is not a number, or one beyond what Terraform can hold.
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

    /// The shortest decimal number whose nearest floating-point value is `value`: what a person would write for it.
    ///
    /// # Errors
    /// For infinities and NaN.
    pub fn shortest(value: f64) -> Result<Self, NumberError> {
        if value.is_finite() {
            value.to_string().parse()
        } else {
            Err(NumberError::NotFinite)
        }
    }

    /// The same for a value of 32 bits.
    pub(crate) fn shortest_f32(value: f32) -> Result<Self, NumberError> {
        if value.is_finite() {
            value.to_string().parse()
        } else {
            Err(NumberError::NotFinite)
        }
    }

    /// The number as a 64-bit integer, when it is one exactly.
    pub fn as_i64(&self) -> Option<i64> {
        self.whole()?.to_i64()
    }

    /// The number as an unsigned 64-bit integer, when it is one exactly.
    pub fn as_u64(&self) -> Option<u64> {
        self.whole()?.to_u64()
    }

    pub(crate) fn as_i128(&self) -> Option<i128> {
        self.whole()?.to_i128()
    }

    fn whole(&self) -> Option<&BigDecimal> {
        self.0.is_integer().then_some(&self.0)
    }

    /// The nearest binary floating-point value; infinite when the number is beyond the largest one.
    pub fn to_f64(&self) -> f64 {
        // The parser of the standard library rounds correctly, and refuses no decimal number.
        self.0.to_string().parse().unwrap_or(f64::NAN)
    }

    /// The nearest value of 32 bits; infinite when the number is beyond the largest one.
    pub fn to_f32(&self) -> f32 {
        self.0.to_string().parse().unwrap_or(f32::NAN)
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

impl From<i128> for Number {
    fn from(value: i128) -> Self {
        Self(BigDecimal::from(value).normalized())
    }
}

impl From<u128> for Number {
    fn from(value: u128) -> Self {
        Self(BigDecimal::from(value).normalized())
    }
}

macro_rules! from_smaller {
    ($($ty:ty),*) => {$(
        impl From<$ty> for Number {
            fn from(value: $ty) -> Self {
                Self::from(i64::from(value))
            }
        }
    )*};
}

from_smaller! { i8, i16, i32, u8, u16, u32 }

/// A number where the format has one that loses nothing, a text otherwise.
struct Written<'a>(&'a Number);

impl Serialize for Written<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let number = self.0;
        if let Some(value) = number.as_i64() {
            return serializer.serialize_i64(value);
        }
        if let Some(value) = number.as_u64() {
            return serializer.serialize_u64(value);
        }
        let value = number.to_f64();
        match Number::shortest(value) {
            Ok(written) if written == *number => serializer.serialize_f64(value),
            _ => serializer.serialize_str(&number.to_string()),
        }
    }
}

impl Serialize for Number {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_newtype_struct(NUMBER, &Written(self))
    }
}

impl<'de> Deserialize<'de> for Number {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct NumberVisitor;

        impl<'de> Visitor<'de> for NumberVisitor {
            type Value = Number;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a number")
            }

            fn visit_newtype_struct<D: Deserializer<'de>>(
                self,
                inner: D,
            ) -> Result<Number, D::Error> {
                inner.deserialize_any(self)
            }

            fn visit_i64<E: de::Error>(self, value: i64) -> Result<Number, E> {
                Ok(Number::from(value))
            }

            fn visit_u64<E: de::Error>(self, value: u64) -> Result<Number, E> {
                Ok(Number::from(value))
            }

            fn visit_f64<E: de::Error>(self, value: f64) -> Result<Number, E> {
                Number::shortest(value).map_err(E::custom)
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Number, E> {
                text.parse().map_err(E::custom)
            }

            // serde_json shows its numbers like this where another crate has turned on `arbitrary_precision`.
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Number, A::Error> {
                match map.next_entry::<String, String>()? {
                    Some((name, text)) if name == "$serde_json::private::Number" => {
                        self.visit_str(&text)
                    }
                    _ => Err(de::Error::custom("an object is not a number")),
                }
            }
        }

        deserializer.deserialize_newtype_struct(NUMBER, NumberVisitor)
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
        assert_eq!(
            "18446744073709551615".parse::<Number>()?.as_u64(),
            Some(u64::MAX)
        );
        Ok(())
    }

    /// Each row: a number, and the nearest values of 64 and 32 bits.
    #[test]
    fn a_floating_point_value_is_the_nearest_and_comes_back_as_it_is_written()
    -> Result<(), NumberError> {
        for (text, wide, narrow) in [
            ("0.1", 0.1, 0.1),
            ("1234.5", 1234.5, 1234.5),
            ("0.3", 0.3, 0.3),
            ("-0.000001", -0.000_001, -0.000_001),
            (
                "340282346638528859811704183484516925440",
                f64::from(f32::MAX),
                f32::MAX,
            ),
            (
                "9007199254740993",
                9_007_199_254_740_992.0,
                9_007_199_254_740_992.0,
            ),
        ] {
            let number: Number = text.parse()?;
            assert_eq!((number.to_f64(), number.to_f32()), (wide, narrow), "{text}");
            assert_eq!(Number::shortest(wide)?.to_f64(), wide);
            assert_eq!(Number::shortest_f32(narrow)?.to_f32(), narrow);
        }
        assert_eq!(Number::shortest(0.1)?, "0.1".parse()?);
        assert_eq!(
            Number::shortest(f64::MIN_POSITIVE)?.to_f64(),
            f64::MIN_POSITIVE
        );
        assert!("1e400".parse::<Number>()?.to_f64().is_infinite());
        assert_eq!(Number::shortest(f64::INFINITY), Err(NumberError::NotFinite));
        Ok(())
    }

    #[test]
    fn a_number_in_json_loses_nothing() -> Result<(), Box<dyn std::error::Error>> {
        for text in ["7", "-1", "0.1", "1e30", "18446744073709551615"] {
            let number: Number = text.parse()?;
            let json = serde_json::to_string(&number)?;
            assert!(!json.contains('"'), "{json}");
            assert_eq!(serde_json::from_str::<Number>(&json)?, number);
        }
        let long: Number = "0.12345678901234567890123".parse()?;
        let json = serde_json::to_string(&long)?;
        assert_eq!(json, "\"0.12345678901234567890123\"");
        assert_eq!(serde_json::from_str::<Number>(&json)?, long);
        assert!(serde_json::from_str::<Number>("{\"a\":\"1\"}").is_err());
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
