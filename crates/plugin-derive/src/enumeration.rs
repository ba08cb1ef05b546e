//! An enum as a text that is one of the names of its variants.

use proc_macro2::TokenStream;
use quote::quote;
use syn::{DataEnum, DeriveInput, Error, Fields, LitStr, Result};

use crate::options::{Attr, Model};

/// How the name of a variant is written.
fn cased(variant: &str, style: &str) -> Option<String> {
    let mut words: Vec<String> = Vec::new();
    for letter in variant.chars() {
        match words.last_mut() {
            Some(word) if !letter.is_uppercase() => word.push(letter),
            _ => words.push(letter.to_string()),
        }
    }
    let lower = || words.iter().map(|word| word.to_lowercase());
    let upper = || words.iter().map(|word| word.to_uppercase());
    let joined = |words: Vec<String>, between: &str| words.join(between);
    Some(match style {
        "snake_case" => joined(lower().collect(), "_"),
        "kebab-case" => joined(lower().collect(), "-"),
        "lowercase" => lower().collect(),
        "SCREAMING_SNAKE_CASE" => joined(upper().collect(), "_"),
        "SCREAMING-KEBAB-CASE" => joined(upper().collect(), "-"),
        "UPPERCASE" => upper().collect(),
        "PascalCase" => variant.to_owned(),
        _ => return None,
    })
}

pub(crate) fn derive(input: &DeriveInput, data: &DataEnum) -> Result<TokenStream> {
    let model = Model::of(&input.attrs)?;
    let style = model.rename_all.as_ref();
    let style_text = style.map_or_else(|| "snake_case".to_owned(), LitStr::value);
    let ident = &input.ident;
    let (mut variants, mut names) = (Vec::new(), Vec::new());
    for variant in &data.variants {
        if !matches!(variant.fields, Fields::Unit) {
            return Err(Error::new_spanned(
                variant,
                "a variant stands for a text, so it has no fields",
            ));
        }
        let attr = Attr::of(&variant.attrs, &syn::parse_quote!(Self))?;
        let name = match attr.name {
            Some(name) => name,
            None => {
                let cased = cased(&variant.ident.to_string(), &style_text).ok_or_else(|| {
                    Error::new_spanned(
                        style,
                        "`rename_all` is one of \"snake_case\", \"kebab-case\", \"lowercase\", \"SCREAMING_SNAKE_CASE\", \"SCREAMING-KEBAB-CASE\", \
                         \"UPPERCASE\" and \"PascalCase\"",
                    )
                })?;
                LitStr::new(&cased, variant.ident.span())
            }
        };
        if names.iter().any(|one: &LitStr| one.value() == name.value()) {
            return Err(Error::new_spanned(variant, "two variants have this name"));
        }
        variants.push(&variant.ident);
        names.push(name);
    }
    if names.is_empty() {
        return Err(Error::new_spanned(
            ident,
            "an enum without variants has no value",
        ));
    }
    Ok(quote! {
        #[automatically_derived]
        impl ::tfplugin::model::OneOf for #ident {
            const NAMES: &'static [&'static str] = &[#(#names),*];

            fn as_str(&self) -> &'static str {
                match self { #(Self::#variants => #names),* }
            }
        }

        #[automatically_derived]
        impl ::tfplugin::model::Field for #ident {
            fn attribute(name: ::tfplugin::schema::Name) -> ::tfplugin::schema::Attribute {
                ::tfplugin::model::one_of::<Self>(name)
            }
        }

        const _: () = {
            use ::tfplugin::model::serde;

            #[automatically_derived]
            impl serde::Serialize for #ident {
                fn serialize<S: serde::Serializer>(&self, serializer: S) -> ::std::result::Result<S::Ok, S::Error> {
                    serializer.serialize_str(::tfplugin::model::OneOf::as_str(self))
                }
            }

            #[automatically_derived]
            impl<'de> serde::Deserialize<'de> for #ident {
                fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> ::std::result::Result<Self, D::Error> {
                    let text = <::std::string::String as serde::Deserialize>::deserialize(deserializer)?;
                    match text.as_str() {
                        #(#names => ::std::result::Result::Ok(Self::#variants),)*
                        _ => ::std::result::Result::Err(serde::de::Error::unknown_variant(&text, <Self as ::tfplugin::model::OneOf>::NAMES)),
                    }
                }
            }
        };
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_written_as_the_style_says() {
        for (style, expected) in [
            ("snake_case", "dark_blue"),
            ("kebab-case", "dark-blue"),
            ("lowercase", "darkblue"),
            ("SCREAMING_SNAKE_CASE", "DARK_BLUE"),
            ("SCREAMING-KEBAB-CASE", "DARK-BLUE"),
            ("UPPERCASE", "DARKBLUE"),
            ("PascalCase", "DarkBlue"),
        ] {
            assert_eq!(cased("DarkBlue", style).as_deref(), Some(expected));
        }
        assert_eq!(cased("DarkBlue", "camel"), None);
    }
}
