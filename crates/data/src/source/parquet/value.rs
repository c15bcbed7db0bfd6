//! Fields as JSON values, so that rows are the same as those of JSON lines.

use parquet::record::{Field, Row};
use serde_json::{Map, Number, Value};

/// The JSON value of a field, or what a field holds that JSON does not know. Text is moved.
pub(super) fn value_of(field: Field) -> Result<Value, &'static str> {
    Ok(match field {
        Field::Null => Value::Null,
        Field::Bool(is_true) => Value::Bool(is_true),
        Field::Byte(n) => n.into(),
        Field::Short(n) => n.into(),
        Field::Int(n) => n.into(),
        Field::Long(n) => n.into(),
        Field::UByte(n) => n.into(),
        Field::UShort(n) => n.into(),
        Field::UInt(n) => n.into(),
        Field::ULong(n) => n.into(),
        Field::Float16(x) => float(x.into())?,
        Field::Float(x) => float(x.into())?,
        Field::Double(x) => float(x)?,
        Field::Str(text) => Value::String(text),
        Field::Group(row) => object(row)?,
        Field::ListInternal(list) => {
            let elements = list.elements().iter().cloned();
            Value::Array(elements.map(value_of).collect::<Result<_, _>>()?)
        }
        Field::MapInternal(_) => return Err("a map"),
        Field::Bytes(_) => return Err("bytes"),
        Field::Decimal(_) => return Err("decimal numbers"),
        Field::Date(_)
        | Field::TimeMillis(_)
        | Field::TimeMicros(_)
        | Field::TimestampMillis(_)
        | Field::TimestampMicros(_) => return Err("a time"),
    })
}

fn float(x: f64) -> Result<Value, &'static str> {
    let number = Number::from_f64(x).ok_or("a number that is not finite")?;
    Ok(Value::Number(number))
}

fn object(row: Row) -> Result<Value, &'static str> {
    let mut members = Map::new();
    for (name, field) in row.into_columns() {
        members.insert(name, value_of(field)?);
    }
    Ok(Value::Object(members))
}
