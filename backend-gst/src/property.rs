//! Properties set by name, with the name, the type, the range and the nick
//! checked against the element's class first: glib's own setters panic on all
//! four.

use glib::object::ObjectClass;
use gstreamer::glib;
use gstreamer::prelude::*;

/// A value for a property of whatever numeric or named type.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Literal<'a> {
    Bool(bool),
    Int(i64),
    Nick(&'a str),
    Text(&'a str),
}

/// A property that cannot be set.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum PropertyError {
    #[error("{element} has no property {property}")]
    Missing { element: String, property: String },
    #[error("property {property} of {element} cannot be written")]
    ReadOnly { element: String, property: String },
    #[error("property {property} of {element} is of type {actual}, which does not take {value}")]
    Type {
        element: String,
        property: String,
        actual: String,
        value: String,
    },
    #[error("property {property} of {element} has no value {nick:?}")]
    Nick {
        element: String,
        property: String,
        nick: String,
    },
    #[error("property {property} of {element} takes {min} to {max}, not {value}")]
    Range {
        element: String,
        property: String,
        value: i64,
        min: i64,
        max: i64,
    },
}

/// Makes the glib value that `property` of `class` takes for `literal`.
pub(crate) fn value_for(
    class: &ObjectClass,
    element: &str,
    property: &str,
    literal: Literal<'_>,
) -> Result<glib::Value, PropertyError> {
    let named = || (element.to_owned(), property.to_owned());
    let Some(spec) = class.find_property(property) else {
        let (element, property) = named();
        return Err(PropertyError::Missing { element, property });
    };
    let flags = spec.flags();
    if !flags.contains(glib::ParamFlags::WRITABLE)
        || flags.contains(glib::ParamFlags::CONSTRUCT_ONLY)
    {
        let (element, property) = named();
        return Err(PropertyError::ReadOnly { element, property });
    }
    let kind = spec.value_type();
    let wrong_type = || {
        let (element, property) = named();
        PropertyError::Type {
            element,
            property,
            actual: kind.to_string(),
            value: format!("{literal:?}"),
        }
    };
    match literal {
        Literal::Bool(value) if kind == glib::Type::BOOL => Ok(value.to_value()),
        Literal::Text(text) if kind == glib::Type::STRING => Ok(text.to_value()),
        Literal::Nick(nick) => {
            let value = if let Some(class) = glib::EnumClass::with_type(kind) {
                class.to_value_by_nick(nick)
            } else if let Some(class) = glib::FlagsClass::with_type(kind) {
                class.to_value_by_nick(nick)
            } else {
                return Err(wrong_type());
            };
            value.ok_or_else(|| {
                let (element, property) = named();
                PropertyError::Nick {
                    element,
                    property,
                    nick: nick.to_owned(),
                }
            })
        }
        Literal::Int(value) => {
            let (min, max) = int_range(&spec).ok_or_else(wrong_type)?;
            if value < min || value > max {
                let (element, property) = named();
                return Err(PropertyError::Range {
                    element,
                    property,
                    value,
                    min,
                    max,
                });
            }
            int_value(kind, value).ok_or_else(wrong_type)
        }
        Literal::Bool(_) | Literal::Text(_) => Err(wrong_type()),
    }
}

/// Sets `property` of `element`.
pub(crate) fn set(
    element: &gstreamer::Element,
    property: &str,
    literal: Literal<'_>,
) -> Result<(), PropertyError> {
    let value = value_for(
        element.object_class(),
        &factory_name(element),
        property,
        literal,
    )?;
    element.set_property_from_value(property, &value);
    Ok(())
}

/// The name of the factory that made `element`.
pub(crate) fn factory_name(element: &gstreamer::Element) -> String {
    element
        .factory()
        .map_or_else(|| element.name().to_string(), |f| f.name().to_string())
}

/// Smallest and largest value of a whole-number property.
pub(crate) fn int_range(spec: &glib::ParamSpec) -> Option<(i64, i64)> {
    use glib::{ParamSpecInt, ParamSpecInt64, ParamSpecUInt, ParamSpecUInt64};
    let signed = |value: u64| i64::try_from(value).unwrap_or(i64::MAX);
    if let Some(spec) = spec.downcast_ref::<ParamSpecInt>() {
        Some((spec.minimum().into(), spec.maximum().into()))
    } else if let Some(spec) = spec.downcast_ref::<ParamSpecUInt>() {
        Some((spec.minimum().into(), spec.maximum().into()))
    } else if let Some(spec) = spec.downcast_ref::<ParamSpecInt64>() {
        Some((spec.minimum(), spec.maximum()))
    } else {
        spec.downcast_ref::<ParamSpecUInt64>()
            .map(|spec| (signed(spec.minimum()), signed(spec.maximum())))
    }
}

/// `None` where the type is no whole number or too small.
fn int_value(kind: glib::Type, value: i64) -> Option<glib::Value> {
    match kind {
        glib::Type::I32 => i32::try_from(value).ok().map(|v| v.to_value()),
        glib::Type::U32 => u32::try_from(value).ok().map(|v| v.to_value()),
        glib::Type::I64 => Some(value.to_value()),
        glib::Type::U64 => u64::try_from(value).ok().map(|v| v.to_value()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_property_that_does_not_fit_is_an_error_and_no_panic() {
        gstreamer::init().unwrap();
        let element = gstreamer::ElementFactory::make("queue").build().unwrap();
        let seen = |property, literal| set(&element, property, literal).unwrap_err();
        assert!(matches!(
            seen("no-such", Literal::Int(1)),
            PropertyError::Missing { .. }
        ));
        assert!(matches!(
            seen("current-level-bytes", Literal::Int(1)),
            PropertyError::ReadOnly { .. }
        ));
        assert!(matches!(
            seen("max-size-buffers", Literal::Text("many")),
            PropertyError::Type { .. }
        ));
        assert!(matches!(
            seen("leaky", Literal::Nick("sideways")),
            PropertyError::Nick { .. }
        ));
        assert!(matches!(
            seen("max-size-buffers", Literal::Int(-1)),
            PropertyError::Range { min: 0, .. }
        ));
        set(&element, "max-size-buffers", Literal::Int(3)).unwrap();
        assert_eq!(element.property::<u32>("max-size-buffers"), 3);
        set(&element, "leaky", Literal::Nick("upstream")).unwrap();
    }
}
