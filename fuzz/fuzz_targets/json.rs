//! Any bytes, read as JSON of any type.
#![no_main]

use tfplugin::codec::json;
use tfplugin::types::Type;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    let Some((length, rest)) = input.split_first() else { return };
    let (ty, value) = rest.split_at(usize::from(*length).min(rest.len()));
    let Ok(ty) = Type::from_json_bytes(ty) else { return };
    if let Ok(value) = json::decode(value, &ty) {
        let bytes = json::encode(&value, &ty).expect("what was read can be written");
        assert_eq!(json::decode(&bytes, &ty).expect("and read again"), value);
    }
});
