//! Any bytes, read as any type: an error or a value that comes back as it was, never a panic.
#![no_main]

use tfplugin::codec::msgpack;
use tfplugin::types::Type;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    let Some((length, rest)) = input.split_first() else { return };
    let (ty, value) = rest.split_at(usize::from(*length).min(rest.len()));
    let Ok(ty) = Type::from_json_bytes(ty) else { return };
    if let Ok(value) = msgpack::decode(value, &ty) {
        let bytes = msgpack::encode(&value, &ty).expect("what was read can be written");
        assert_eq!(msgpack::decode(&bytes, &ty).expect("and read again"), value);
    }
});
