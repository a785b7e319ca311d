//! Values on the wire.

use bytes::BytesMut;
use tokio_postgres::types::{FromSql, IsNull, ToSql, Type, to_sql_checked};

use crate::engine::tx::Value;

type Failure = Box<dyn std::error::Error + Sync + Send>;

impl Value {
    /// Whether it can be sent as `ty`.
    pub(super) const fn fits(&self, ty: &Type) -> bool {
        matches!(
            (self, ty),
            (Self::Null, _)
                | (Self::Int(_), &Type::INT8)
                | (Self::Text(_), &Type::TEXT | &Type::VARCHAR)
                | (Self::Blob(_), &Type::BYTEA)
        )
    }
}

impl ToSql for Value {
    fn to_sql(&self, ty: &Type, out: &mut BytesMut) -> Result<IsNull, Failure> {
        match (self, ty) {
            (Self::Null, _) => Ok(IsNull::Yes),
            (Self::Int(value), _) => value.to_sql(ty, out),
            (Self::Text(text), _) => text.as_str().to_sql(ty, out),
            (Self::Blob(bytes), _) => bytes.as_slice().to_sql(ty, out),
        }
    }

    fn accepts(_: &Type) -> bool {
        true
    }

    to_sql_checked!();
}

impl<'a> FromSql<'a> for Value {
    fn from_sql(ty: &Type, raw: &'a [u8]) -> Result<Self, Failure> {
        Ok(match *ty {
            Type::INT8 => Self::Int(i64::from_sql(ty, raw)?),
            Type::INT4 => Self::Int(i32::from_sql(ty, raw)?.into()),
            Type::INT2 => Self::Int(i16::from_sql(ty, raw)?.into()),
            Type::BOOL => Self::Int(bool::from_sql(ty, raw)?.into()),
            Type::BYTEA => Self::Blob(raw.to_vec()),
            _ => Self::Text(String::from_sql(ty, raw)?),
        })
    }

    fn from_sql_null(_: &Type) -> Result<Self, Failure> {
        Ok(Self::Null)
    }

    fn accepts(ty: &Type) -> bool {
        let numbers = [Type::INT8, Type::INT4, Type::INT2, Type::BOOL, Type::BYTEA, Type::UNKNOWN];
        numbers.contains(ty) || <String as FromSql>::accepts(ty)
    }
}
