//! Entities as bytes: complete, equal after a round trip, and safe to read whatever they hold.
#![allow(
    clippy::expect_used,
    clippy::wildcard_enum_match_arm,
    reason = "a test fails by a panic, and looks for one variant among all"
)]

#[path = "wire/everything.rs"]
mod everything;
#[cfg(test)]
mod wire_invariants;

#[cfg(test)]
mod tests {
    use std::{
        fs,
        path::{Path, PathBuf},
        sync::LazyLock,
    };

    use ir::{EndpointMap, IrSet};
    use link::wire::{Entity, WireError, decode, encode};
    use proptest::{
        collection::vec,
        prelude::{ProptestConfig, any, proptest},
        sample::Index,
    };
    use source::{Contents, Store};
    use translate::{Capabilities, Settings, translate};

    use crate::{everything::entities, wire_invariants::check};

    fn translated(texts: &[String]) -> IrSet {
        let named: Vec<String> = (0..texts.len()).map(|number| format!("{number}.yaml")).collect();
        let files = named.iter().map(String::as_str).zip(texts.iter().map(String::as_str));
        let mut store = Store::new(source::Settings::default());
        store.load(Contents::from_texts(files));
        let settings = Settings { capabilities: Capabilities::ALL, ..Settings::default() };
        translate(&store.snapshot(), &settings).ir
    }

    fn files(folder: &Path, found: &mut Vec<PathBuf>) {
        for entry in fs::read_dir(folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                files(&path, found);
            } else {
                found.push(path);
            }
        }
        found.sort();
    }

    /// The sets that the golden cases of translation give.
    fn golden() -> Vec<IrSet> {
        let tests = Path::new(env!("CARGO_MANIFEST_DIR")).join("../translate/tests");
        let mut cases = Vec::new();
        files(&tests.join("golden"), &mut cases);
        let read = |path: &Path| fs::read_to_string(path).expect("a file");
        let sets = cases.iter().map(|case| {
            let text = read(case);
            let (input, _) = testkit::golden::split(&text);
            let fixtures = input.lines().filter_map(|line| line.strip_prefix("# with: "));
            let fixtures = fixtures.flat_map(str::split_whitespace);
            let paths = fixtures.map(|name| tests.join("fixtures").join(format!("{name}.yaml")));
            let mut texts: Vec<String> = paths.map(|path| read(&path)).collect();
            texts.push(input.to_owned());
            translated(&texts)
        });
        sets.collect()
    }

    fn round_trip(entity: &Entity) {
        let bytes = encode(entity);
        let back = decode(bytes.as_bytes()).expect("what was encoded can be decoded");
        assert_eq!(back, *entity);
        assert_eq!(format!("{back:?}"), format!("{entity:?}"), "fields that equality leaves out");
        assert!(encode(&back) == bytes, "the same bytes again");
    }

    #[test]
    fn every_field_and_variant_survives_a_round_trip() {
        entities().iter().for_each(round_trip);
    }

    #[test]
    fn private_keys_survive_though_nobody_prints_them() {
        let keys = entities().into_iter().filter_map(|entity| match entity {
            Entity::Certificate(certificate) => Some(certificate),
            _ => None,
        });
        for before in keys {
            let back = decode(encode(&Entity::Certificate(before.clone())).as_bytes());
            let Ok(Entity::Certificate(after)) = back else { panic!("a certificate") };
            assert_eq!((after.key.der(), &after.chain), (before.key.der(), &before.chain));
        }
    }

    #[test]
    fn what_translation_gives_survives_a_round_trip() {
        let mut count = 0;
        for set in golden() {
            let (mut back, mut endpoints) = (IrSet::default(), EndpointMap::default());
            for entity in Entity::all(&set, &EndpointMap::default()) {
                round_trip(&entity);
                let bytes = encode(&entity);
                let entity = decode(bytes.as_bytes()).expect("an entity");
                entity.put_into(&mut back, &mut endpoints);
                count += 1;
            }
            assert_eq!(back, set);
            assert_eq!(ir::dump(&back), ir::dump(&set));
        }
        assert!(count > 200, "only {count} entities: the golden cases are there");
    }

    #[test]
    fn an_origin_names_its_object_once() {
        let route = entities().into_iter().find(|entity| matches!(entity, Entity::HttpRoute(_)));
        let bytes = encode(&route.expect("a route"));
        let text = String::from_utf8_lossy(bytes.as_bytes());
        assert_eq!(text.matches("HTTPRoute").count(), 1);
    }

    #[test]
    fn an_entity_that_is_cut_off_is_refused() {
        for entity in entities() {
            let bytes = encode(&entity);
            for length in (0..bytes.len()).step_by(bytes.len() / 128 + 1) {
                assert!(decode(&bytes.as_bytes()[..length]).is_err());
            }
            let longer = [bytes.as_bytes(), &[0]].concat();
            assert_eq!(decode(&longer), Err(WireError::Trailing));
        }
    }

    #[test]
    fn a_list_cannot_be_longer_than_its_bytes() {
        // A gateway: object (four texts), class, then the number of listeners.
        let head = [0, 0, 1, 1, 1, 1, 1];
        let many = [0xff, 0xff, 0xff, 0xff, 0x0f];
        assert_eq!(decode(&[&head[..], &many[..]].concat()), Err(WireError::Truncated));
        let endless = [0xff; 11];
        assert_eq!(decode(&[&head[..], &endless[..]].concat()), Err(WireError::Number));
    }

    #[test]
    fn every_seed_of_the_corpus_keeps_the_invariants() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus/link");
        if std::env::var_os("WRITE_SEEDS").is_some() {
            fs::create_dir_all(&folder).expect("a folder");
            for (number, entity) in entities().iter().enumerate() {
                let name = format!("everything-{number}");
                fs::write(folder.join(name), encode(entity).as_bytes()).expect("a seed");
            }
        }
        let mut seeds = Vec::new();
        files(&folder, &mut seeds);
        assert!(seeds.len() >= 10, "the corpus is there");
        for seed in seeds {
            check(&fs::read(seed).expect("a seed"));
        }
    }

    static SEEDS: LazyLock<Vec<Vec<u8>>> = LazyLock::new(|| {
        entities().iter().map(|entity| encode(entity).as_bytes().to_vec()).collect()
    });

    proptest! {
        #![proptest_config(ProptestConfig {
            cases: 3000, failure_persistence: None, ..ProptestConfig::default()
        })]

        #[test]
        fn entities_with_changed_bytes_are_refused_or_read(
            seed in any::<Index>(),
            edits in vec((any::<Index>(), any::<u8>()), 1..4),
        ) {
            let mut bytes = seed.get(&SEEDS).clone();
            for (at, byte) in edits {
                let at = at.index(bytes.len());
                bytes[at] = byte;
            }
            check(&bytes);
        }

        #[test]
        fn any_bytes_are_refused_or_read(bytes in vec(any::<u8>(), 0..64)) {
            check(&bytes);
        }
    }
}
