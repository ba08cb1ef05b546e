//! Any text, read as a key policy: an error or a policy that comes back as it was, and can be asked.
#![no_main]

use kms_policy::Caller;
use kms_policy::{Context, Document, Request, evaluate};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let Ok(policy) = Document::parse(text) else { return };
    let again = Document::parse(policy.text()).expect("a policy");
    assert!(again.means_the_same_as(&policy));
    assert_eq!(policy.edited(&[]).expect("a policy").text(), text);
    let Ok(caller) = Caller::parse("arn:aws:iam::414351767826:role/x") else { return };
    let request = Request {
        caller,
        action: "kms:Decrypt".to_owned(),
        resource: "arn:aws:kms:eu-central-1:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab".to_owned(),
        context: Context::open(),
    };
    let _ = evaluate(&policy, &request);
});
