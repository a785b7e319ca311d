//! The numbers of an RSA private key that a library uses and does not judge (FIPS 186-5 A.1.3).
//!
//! Takes: PKCS#8 (RFC 5208 §5) with an RSA key (RFC 8017 A.1.2), which a library has read before.
//! Gives: what is wrong with its exponent or primes.
//! Holds: the exponent is 65537, so that a modulus has one thumbprint (RFC 7638): no revoked key is back with another exponent.

use num_bigint::BigUint;
use zeroize::Zeroizing;

use super::ImportRefused;

const SEQUENCE: u8 = 0x30;
const INTEGER: u8 = 0x02;
const OCTETS: u8 = 0x04;
/// The exponent, 2^16 + 1.
const EXPONENT: [u8; 3] = [1, 0, 1];

/// The numbers that are looked at, without leading zeros.
struct Numbers<'k> {
    modulus: &'k [u8],
    exponent: &'k [u8],
    primes: (&'k [u8], &'k [u8]),
}

/// Refuses what is weak.
pub(super) fn check(pkcs8: &[u8]) -> Result<(), ImportRefused> {
    let numbers = read(pkcs8).ok_or(ImportRefused::Damaged)?;
    if numbers.exponent != EXPONENT {
        return Err(ImportRefused::Exponent);
    }
    let half = |prime| bits(prime) * 2 == bits(numbers.modulus);
    if !half(numbers.primes.0) || !half(numbers.primes.1) {
        return Err(ImportRefused::UnevenPrimes);
    }
    let apart = bits(&difference(numbers.primes.0, numbers.primes.1));
    // |p − q| < 2^k has k bits at most.
    if apart <= (bits(numbers.modulus) / 2).saturating_sub(100) {
        return Err(ImportRefused::ClosePrimes);
    }
    if is_prime(numbers.primes.0) && is_prime(numbers.primes.1) { Ok(()) } else { Err(ImportRefused::NotPrime) }
}

/// The bases that a number is tried with.
const BASES: [u8; 12] = [2, 3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37];

/// Whether a large number passes for a prime (Miller and Rabin; FIPS 186-5 B.3.1). The bases are known: this is against keys that were
/// made wrongly, for whoever makes one so that it passes has it anyway.
fn is_prime(number: &[u8]) -> bool {
    let (one, number) = (BigUint::from(1_u8), BigUint::from_bytes_be(number));
    if !number.bit(0) || number <= BigUint::from(u16::MAX) {
        return false;
    }
    let less = &number - &one;
    let halvings = less.trailing_zeros().unwrap_or(0);
    let odd = &less >> halvings;
    BASES.into_iter().all(|base| {
        let mut power = BigUint::from(base).modpow(&odd, &number);
        if power == one || power == less {
            return true;
        }
        (1..halvings).any(|_| {
            power = &power * &power % &number;
            power == less
        })
    })
}

fn read(pkcs8: &[u8]) -> Option<Numbers<'_>> {
    let document = whole(pkcs8)?;
    let (_version, rest) = element(INTEGER, document)?;
    let (_algorithm, rest) = element(SEQUENCE, rest)?;
    let key = whole(element(OCTETS, rest)?.0)?;
    let (_version, rest) = element(INTEGER, key)?;
    let (modulus, rest) = number(rest)?;
    let (exponent, rest) = number(rest)?;
    let (_private_exponent, rest) = number(rest)?;
    let (p, rest) = number(rest)?;
    let (q, _) = number(rest)?;
    Some(Numbers { modulus, exponent, primes: (p, q) })
}

/// What a structure of DER holds that nothing follows.
pub(super) fn whole(from: &[u8]) -> Option<&[u8]> {
    element(SEQUENCE, from).and_then(|(held, rest)| rest.is_empty().then_some(held))
}

/// What one element of DER with this tag holds, and what follows it.
fn element(tag: u8, from: &[u8]) -> Option<(&[u8], &[u8])> {
    let (found, rest) = from.split_first()?;
    let (first, rest) = rest.split_first()?;
    let (length, rest) = if *first < 0x80 {
        (usize::from(*first), rest)
    } else {
        let (length, rest) = rest.split_at_checked(usize::from(first & 0x7f))?;
        (length.iter().try_fold(0_usize, |all, byte| Some(all.checked_mul(256)? + usize::from(*byte)))?, rest)
    };
    if *found == tag { rest.split_at_checked(length) } else { None }
}

fn number(from: &[u8]) -> Option<(&[u8], &[u8])> {
    let (number, rest) = element(INTEGER, from)?;
    Some((significant(number), rest))
}

fn significant(number: &[u8]) -> &[u8] {
    let zeros = number.iter().take_while(|byte| **byte == 0).count();
    number.get(zeros..).unwrap_or_default()
}

/// Of numbers without leading zeros.
fn is_below(one: &[u8], other: &[u8]) -> bool {
    (one.len(), one) < (other.len(), other)
}

fn bits(number: &[u8]) -> usize {
    let number = significant(number);
    number.len() * 8 - number.first().map_or(0, |first| first.leading_zeros() as usize)
}

/// How far two numbers are apart.
fn difference(one: &[u8], other: &[u8]) -> Zeroizing<Vec<u8>> {
    let (less, more) = if is_below(one, other) { (one, other) } else { (other, one) };
    let taken = less.iter().rev().copied().chain(std::iter::repeat(0));
    let mut borrowed = false;
    let mut bytes = Zeroizing::new(Vec::with_capacity(more.len()));
    for (from, take) in more.iter().rev().zip(taken) {
        let (left, under) = from.overflowing_sub(take);
        let (left, under_again) = left.overflowing_sub(u8::from(borrowed));
        borrowed = under || under_again;
        bytes.push(left);
    }
    bytes.reverse();
    bytes
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_prime_is_told_from_what_is_none() {
        let number = |number: u128| number.to_be_bytes();
        // 2^61 − 1, 2^89 − 1, 2^107 − 1 and 2^127 − 1 are prime (Mersenne).
        for prime in [61, 89, 107, 127].map(|exponent| (1_u128 << exponent) - 1) {
            assert!(is_prime(&number(prime)));
        }
        // A Carmichael number, one that passes with the bases 2 to 7, a square, an even one, a small one.
        let squared = ((1_u128 << 61) - 1).pow(2);
        for composite in [825_265, 3_215_031_751, squared, (1 << 89) - 2, 7] {
            assert!(!is_prime(&number(composite)), "{composite}");
        }
    }

    proptest! {
        #[test]
        fn numbers_are_as_far_apart_as_they_are(one in any::<u128>(), other in any::<u64>(), near in any::<u8>()) {
            for (one, other) in [(one, u128::from(other)), (one, one.saturating_sub(u128::from(near))), (one, one)] {
                let (a, b) = (one.to_be_bytes(), other.to_be_bytes());
                for (a, b) in [(&a, &b), (&b, &a)] {
                    let apart = difference(significant(a), significant(b));
                    prop_assert_eq!(bits(&apart), 128 - one.abs_diff(other).leading_zeros() as usize);
                }
                prop_assert_eq!(is_below(significant(&a), significant(&b)), one < other);
            }
        }

        #[test]
        fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..60)) {
            let nested = [&[SEQUENCE, 0x83, 0xff, 0xff, 0xff][..], &bytes].concat();
            for bytes in [&bytes, &nested] {
                prop_assert_eq!(check(bytes), Err(ImportRefused::Damaged));
            }
        }
    }
}
