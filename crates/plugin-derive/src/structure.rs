//! A struct as a model.

use proc_macro2::TokenStream;
use quote::{format_ident, quote, quote_spanned};
use syn::ext::IdentExt as _;
use syn::spanned::Spanned as _;
use syn::{
    DeriveInput, Error, Expr, ExprLit, Field, FieldsNamed, Ident, Lit, LitStr, Result, Type,
};

use crate::docs;
use crate::options::{Attr, Model, Presence};

/// A field, and what its attributes say.
struct Part<'a> {
    ident: &'a Ident,
    ty: &'a Type,
    name: LitStr,
    description: String,
    attr: Attr,
}

impl<'a> Part<'a> {
    fn of(field: &'a Field) -> Result<Self> {
        let ident = field
            .ident
            .as_ref()
            .ok_or_else(|| Error::new_spanned(field, "a field of a model has a name"))?;
        let attr = Attr::of(&field.attrs, &field.ty)?;
        let name = match &attr.name {
            Some(name) => name.clone(),
            None => LitStr::new(&ident.unraw().to_string(), ident.span()),
        };
        let is_name = |text: &str| {
            let mut bytes = text.bytes();
            let is_first = |byte: u8| byte.is_ascii_lowercase() || byte == b'_';
            bytes.next().is_some_and(is_first)
                && bytes.all(|byte| is_first(byte) || byte.is_ascii_digit())
        };
        if !is_name(&name.value()) {
            return Err(Error::new(
                name.span(),
                "Terraform's names have small letters, digits and `_`, and do not begin with a digit",
            ));
        }
        Ok(Self {
            ident,
            ty: &field.ty,
            name,
            description: docs::of(&field.attrs),
            attr,
        })
    }

    /// Calls in a chain that ends in the attribute.
    fn attribute(&self) -> TokenStream {
        let (ty, name, attr) = (self.ty, &self.name, &self.attr);
        let span = ty.span();
        let start = match (&attr.ty, attr.text) {
            (Some(own), _) => quote!(::tfplugin::schema::Attribute::of(#name, #own)),
            (None, true) if attr.set => quote!(::tfplugin::schema::Attribute::string_set(#name)),
            (None, true) => quote!(::tfplugin::schema::Attribute::string(#name)),
            (None, false) => {
                let field = quote_spanned!(span=> <#ty as ::tfplugin::model::Field>::attribute(#name.into()));
                match attr.set {
                    true => quote!(#field.into_set()),
                    false => field,
                }
            }
        };
        let mut chain = vec![start];
        if attr.block {
            chain.push(quote!(into_block()));
        }
        if let Some((least, most)) = &attr.times {
            chain.push(quote!(times(#least, #most)));
        }
        chain.extend(match attr.presence {
            Presence::Required => Some(quote!(required())),
            Presence::Optional => None,
            Presence::Computed => Some(quote!(computed())),
            Presence::OptionalComputed => Some(quote!(optional_computed())),
        });
        for flag in &attr.flags {
            let flag = format_ident!("{flag}");
            chain.push(quote!(#flag()));
        }
        if let Some(default) = &attr.default {
            let value = self.default(default);
            chain.push(quote!(default_value(#value)));
        }
        if let Some((own, summary)) = &attr.format {
            chain.push(quote!(format::<#own>(#summary)));
        }
        chain.extend(attr.checks.iter().map(|check| quote!(check(#check))));
        chain.extend(
            attr.replaces_if
                .iter()
                .map(|rule| quote!(replaces_if(#rule))),
        );
        chain.extend(
            attr.same_meaning
                .iter()
                .map(|same| quote!(same_meaning(#same))),
        );
        chain.extend(
            attr.same_elements
                .iter()
                .map(|same| quote!(same_elements(#same))),
        );
        chain.extend(
            attr.better_write_only
                .iter()
                .map(|name| quote!(better_write_only(#name))),
        );
        chain.extend(attr.deprecated.iter().map(|why| quote!(deprecated(#why))));
        if !self.description.is_empty() {
            let description = &self.description;
            chain.push(quote!(describe(#description)));
        }
        quote!(#(#chain).*)
    }

    /// A default, in the type that the field holds; a text is one for everything that is written as a text.
    fn default(&self, default: &Expr) -> TokenStream {
        let ty = self.ty;
        match default {
            Expr::Lit(ExprLit {
                lit: Lit::Str(text),
                ..
            }) => {
                quote!(::tfplugin::value::Value::from(#text))
            }
            other => quote!({
                let default: <#ty as ::tfplugin::model::Nullable>::Held = #other;
                ::tfplugin::model::default_of(&default)
            }),
        }
    }

    /// The traits that the type of the field must have.
    fn demands(&self) -> TokenStream {
        let (ty, attr) = (self.ty, &self.attr);
        let of = |demand: &str| {
            let demand = format_ident!("{demand}");
            quote_spanned!(ty.span()=> ::tfplugin::model::#demand::<#ty>();)
        };
        let mut demands = Vec::new();
        // A block that the user does not write is empty, unless it is a single one.
        if attr.presence != Presence::Required && !attr.block {
            demands.push(of("has_a_place_for_null"));
        }
        if attr.block {
            demands.push(of("is_made_of_models"));
        }
        if attr.set && !attr.text && attr.ty.is_none() {
            demands.push(of("is_a_list"));
        }
        quote!(#(#demands)*)
    }
}

pub(crate) fn derive(input: &DeriveInput, fields: &FieldsNamed) -> Result<TokenStream> {
    if !input.generics.params.is_empty() {
        return Err(Error::new_spanned(
            &input.generics,
            "a model has no parameters: Terraform has one schema for it",
        ));
    }
    let model = Model::of(&input.attrs)?;
    if let Some(rename) = &model.rename_all {
        return Err(Error::new_spanned(
            rename,
            "`rename_all` is for an enum; a field has `name = \"…\"`",
        ));
    }
    let mut parts = Vec::new();
    let mut errors: Option<Error> = None;
    for field in &fields.named {
        match Part::of(field) {
            Ok(part) => parts.push(part),
            Err(error) => match &mut errors {
                Some(all) => all.combine(error),
                None => errors = Some(error),
            },
        }
    }
    if let Some(errors) = errors {
        return Err(errors);
    }
    let schema = schema(input, &model, &parts);
    let serde = serde(input, &parts);
    Ok(quote! {
        #schema
        #serde
    })
}

fn schema(input: &DeriveInput, model: &Model, parts: &[Part<'_>]) -> TokenStream {
    let ident = &input.ident;
    let description = docs::of(&input.attrs);
    let kept = parts.iter().filter(|part| !part.attr.skip);
    let attributes = kept.clone().map(Part::attribute);
    let demands = kept.map(Part::demands);
    let version = model
        .version
        .iter()
        .map(|version| quote!(.version(#version)));
    let deprecated = model.deprecated.iter().map(|why| quote!(.deprecated(#why)));
    let rules = model.rules.iter().map(|rule| quote!(.rule(#rule)));
    quote! {
        #[automatically_derived]
        impl ::tfplugin::model::Model for #ident {
            fn attributes() -> ::std::vec::Vec<::tfplugin::schema::Attribute> {
                #(#demands)*
                ::std::vec![#(#attributes),*]
            }

            fn schema() -> ::tfplugin::schema::Schema {
                ::tfplugin::schema::Schema::new(#description, <Self as ::tfplugin::model::Model>::attributes())
                    #(#version)* #(#deprecated)* #(#rules)*
            }
        }

        #[automatically_derived]
        impl ::tfplugin::model::Field for #ident {
            fn attribute(name: ::tfplugin::schema::Name) -> ::tfplugin::schema::Attribute {
                ::tfplugin::schema::Attribute::object(name, <Self as ::tfplugin::model::Model>::attributes())
                    .describe(#description)
            }
        }

        #[automatically_derived]
        impl ::tfplugin::model::MadeOfModels for #ident {}
    }
}

/// How the struct is read and written: by the names of the schema.
fn serde(input: &DeriveInput, parts: &[Part<'_>]) -> TokenStream {
    let ident = &input.ident;
    let name = ident.to_string();
    let kept: Vec<&Part<'_>> = parts.iter().filter(|part| !part.attr.skip).collect();
    let skipped = parts
        .iter()
        .filter(|part| part.attr.skip)
        .map(|part| part.ident);
    let count = kept.len();
    let idents: Vec<&Ident> = kept.iter().map(|part| part.ident).collect();
    let types: Vec<&Type> = kept.iter().map(|part| part.ty).collect();
    let names: Vec<&LitStr> = kept.iter().map(|part| &part.name).collect();
    let slots: Vec<Ident> = (0..count)
        .map(|index| format_ident!("slot_{index}"))
        .collect();
    quote! {
        const _: () = {
            use ::tfplugin::model::serde;

            #[automatically_derived]
            impl serde::Serialize for #ident {
                fn serialize<S: serde::Serializer>(&self, serializer: S) -> ::std::result::Result<S::Ok, S::Error> {
                    use serde::ser::SerializeStruct as _;
                    #[allow(unused_mut, reason = "a model may have no attribute")]
                    let mut written = serializer.serialize_struct(#name, #count)?;
                    #(written.serialize_field(#names, &self.#idents)?;)*
                    written.end()
                }
            }

            #[automatically_derived]
            impl<'de> serde::Deserialize<'de> for #ident {
                fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> ::std::result::Result<Self, D::Error> {
                    struct Fields;

                    impl<'de> serde::de::Visitor<'de> for Fields {
                        type Value = #ident;

                        fn expecting(&self, f: &mut ::std::fmt::Formatter<'_>) -> ::std::fmt::Result {
                            f.write_str("an object")
                        }

                        fn visit_map<A: serde::de::MapAccess<'de>>(self, mut map: A) -> ::std::result::Result<#ident, A::Error> {
                            #(let mut #slots: ::std::option::Option<#types> = ::std::option::Option::None;)*
                            while let ::std::option::Option::Some(name) = map.next_key::<::std::string::String>()? {
                                match name.as_str() {
                                    #(#names => #slots = ::std::option::Option::Some(map.next_value()?),)*
                                    _ => {
                                        let _: serde::de::IgnoredAny = map.next_value()?;
                                    }
                                }
                            }
                            ::std::result::Result::Ok(#ident {
                                #(#idents: match #slots {
                                    ::std::option::Option::Some(value) => value,
                                    ::std::option::Option::None => ::tfplugin::model::missing(#names)?,
                                },)*
                                #(#skipped: ::std::default::Default::default(),)*
                            })
                        }
                    }

                    deserializer.deserialize_struct(#name, &[#(#names),*], Fields)
                }
            }
        };
    }
}
