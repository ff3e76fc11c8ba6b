//! The numbers that all DSA keys share.
//!
//! They are public, any number of keys may have them (FIPS 186-4, 4.3), and to find them takes seconds, which no
//! render has for each of its keys. The crate `dsa` made these for [`KeySize::DSA_2048_256`](dsa::KeySize) out of the
//! random bytes of [`FixedHost::default`](crate::FixedHost).

/// A prime of 2048 bits, in hexadecimal digits.
pub(super) const P: &str = "\
    b4b578b52d78fca1370975b81df7ea847c99ad9cf1b5c7716a233b2e840ed604c33ad9560bce53448408a2a51f3d5604\
    2361977e8276fe543d1e074d42383a55c6ed8f6874cab9384ff63f5d7dccc5fc9b61d85b3985925f635365755cb98b77\
    0eb0153ad0a53642a00f635344c459ca76d71bbf99ccc74dec7b95f003b501f635ab03ae0a42512e43cdad17a0ebbe59\
    7110b9c527ddc415ffa04e7f449e91efb59ab6bb20325f7f408499aaa9b18545a42f3896527c7a8ff10ae66e40ace4c0\
    f613b79175afbd97110d7e94c2930cb1a909428191924f16cef2ea18962f6c4a354a32ec60fa06034580fd760d6f05cb\
    ccb76b15eaa8e81febeddb656991ad9f";

/// A prime of 256 bits that divides `P - 1`.
pub(super) const Q: &str = "f88bb8a8724c81ec06c45d188009454f6e789e6aa1b965f4e220a8397b1dcdfb";

/// A number whose powers modulo `P` are `Q` different ones.
pub(super) const G: &str = "\
    71f98c81756d342e71c74d90adf411067d8522b84f29e26fdbb452a92b2c92ec534a69832ef3bbdf88cf000d3972f16e\
    9c0407c643cbcb12affa106e7f4d6eefb105b46aaf58eff72375da4f72f560ca1605c8ea5bf1889a98f454571701baf7\
    de6f3ad37d2cc9c3956943cce32d8f7f0a52a707972b0dec5c304121b1ead2eca770b46a7ef3fdcdffc57a429ec5d2c8\
    d12f05860694b142270544528c462a0f1c37b2f7d331dc36575508b5e276e6805cda5329e5e42f3da3b197ebbc5b9897\
    04e02bbc2d76ac26a137c988211085d830599d495597ec9420ded936ecdc3b60dfc02b0a5968089e959cb8e96b8da15f\
    69d6e3225dddf32ce3cd8801ec6bea2a";

#[cfg(test)]
mod tests {
    use super::{G, P, Q};
    use num_bigint::BigUint;

    #[test]
    fn they_are_primes_and_a_generator_of_as_many_numbers_as_one_of_them_says() {
        let number = |digits: &str| BigUint::parse_bytes(digits.as_bytes(), 16).unwrap();
        let (p, q, g, one) = (number(P), number(Q), number(G), number("1"));
        assert_eq!((p.bits(), q.bits()), (2048, 256));
        for prime in [&p, &q] {
            for base in [2u32, 3, 5, 7] {
                assert_eq!(BigUint::from(base).modpow(&(prime - &one), prime), one, "Fermat, {base}");
            }
        }
        assert_eq!((&p - &one) % &q, number("0"));
        assert!(g > one && g < p);
        assert_eq!(g.modpow(&q, &p), one);
    }
}
