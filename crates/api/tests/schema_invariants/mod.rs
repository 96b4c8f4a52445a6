//! What holds for any bytes: judging does not panic, and judging its own result again finds
//! nothing more to drop or fill, and the same errors.

use api::schema::{Channel, UnknownFields, Validator, ViolationKind};

pub(crate) fn judge(data: &[u8]) {
    let Ok(object) = serde_json::from_slice::<serde_json::Value>(data) else { return };
    for channel in [Channel::Standard, Channel::Experimental] {
        let validator = Validator { channel, unknown_fields: UnknownFields::Warn };
        let mut stored = object.clone();
        let first = validator.validate(&mut stored);
        let mut again = stored.clone();
        let second = validator.validate(&mut again);
        assert_eq!(stored, again);
        assert_eq!(first.errors, second.errors);
        assert!(second.warnings.iter().all(|w| w.kind != ViolationKind::UnknownField));
        let change = validator.validate_update(&mut again, &object);
        assert_eq!(change.coverage, first.coverage);
    }
}
