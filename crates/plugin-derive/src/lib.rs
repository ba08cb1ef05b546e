//! `#[derive(Model)]` of tfplugin. Its documentation is that of `tfplugin::model`.

mod docs;
mod enumeration;
mod options;
mod structure;

use proc_macro::TokenStream;
use syn::{Data, DeriveInput, Error, Fields, parse_macro_input};

/// Makes a struct the schema of a resource, a data source or a part of them, and reads and writes it; makes an enum of unit variants a text that
/// is one of their names. See the module `tfplugin::model`.
#[proc_macro_derive(Model, attributes(model, attr))]
pub fn model(input: TokenStream) -> TokenStream {
    let input = parse_macro_input!(input as DeriveInput);
    let derived = match &input.data {
        Data::Struct(data) => match &data.fields {
            Fields::Named(fields) => structure::derive(&input, fields),
            Fields::Unit | Fields::Unnamed(_) => Err(Error::new_spanned(
                &input.ident,
                "a model has named fields, one for each attribute",
            )),
        },
        Data::Enum(data) => enumeration::derive(&input, data),
        Data::Union(_) => Err(Error::new_spanned(
            &input.ident,
            "a model is a struct, or an enum of unit variants",
        )),
    };
    derived.unwrap_or_else(Error::into_compile_error).into()
}
