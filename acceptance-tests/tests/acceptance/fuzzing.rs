//! A short run over each parser of what comes from outside; `make fuzz` runs them for longer.

use acceptance_tests::fuzz::run;
use dbxcmk::fuzzing::TARGETS;

#[test]
fn no_input_makes_a_parser_panic() {
    for target in TARGETS {
        for seed in target.seeds {
            assert!(
                (target.run)(seed),
                "{} does not take its own seed: {:?}",
                target.name,
                String::from_utf8_lossy(seed)
            );
        }
        let figures = run(target, 2_000, 17);
        assert!(
            figures.read > 0 && figures.read < figures.inputs,
            "{}: {figures:?}",
            target.name
        );
    }
}
