//! Sizes of the pictures of a recorded GOP, for publishers whose frames are as unequal as an encoder's.
//!
//! From the demo's film (Big Buck Bunny, 25 pictures/s, its 5.3 s played twice), scaled and encoded by libvpx: VP8,
//! `deadline=realtime`, `cpu-used=10`, no lag, no alternate reference, 0.07 bits a pixel, one key frame at the
//! beginning. What is sent in their place is the pattern, which receivers check.

/// Payload of a packet at most: a full one of a browser's.
const PACKET: u32 = 1_160;

/// Bytes of each picture of the GOP recorded at that many lines; the first is the key frame.
pub fn recorded(height: u32) -> Option<&'static [u32]> {
    match height {
        360 => Some(&P360),
        540 => Some(&P540),
        _ => None,
    }
}

/// Packets that carry a picture of that many bytes, and the payload of each: equal parts, as libwebrtc makes them.
pub(crate) fn parts(bytes: u32) -> (u32, usize) {
    let packets = bytes.div_ceil(PACKET).max(1);
    let each = bytes.div_ceil(packets) as usize;
    (packets, each.max(crate::pattern::LEAST))
}

/// Packets of each picture of the GOP recorded at that many lines.
pub fn recorded_packets(height: u32) -> Option<Vec<u32>> {
    let sizes = recorded(height)?;
    Some(sizes.iter().map(|bytes| parts(*bytes).0).collect())
}

/// 640 x 360, 410 kb/s.
#[rustfmt::skip]
const P360: [u32; 250] = [
    51928, 203, 264, 319, 337, 285, 313, 55, 273, 374, 465, 659, 913, 1910, 450, 765, 811, 714, 518,
    1254, 908, 1193, 1119, 797, 936, 443, 1379, 1556, 1930, 1756, 1804, 1516, 4859, 330, 628, 714,
    742, 1085, 731, 786, 1097, 1306, 1072, 1047, 1044, 858, 1047, 360, 3279, 350, 1811, 1269, 6890,
    434, 462, 3881, 516, 3754, 742, 1779, 1466, 358, 6720, 399, 1020, 1561, 6353, 860, 952, 3368,
    1915, 3493, 1505, 3096, 1463, 24684, 107, 201, 251, 323, 279, 266, 191, 388, 327, 351, 53,
    11927, 195, 567, 1700, 837, 2301, 267, 1161, 1677, 2261, 1749, 4517, 863, 1337, 1152, 2334,
    2685, 2660, 2469, 2510, 577, 2805, 2019, 2204, 5433, 1523, 1973, 1314, 1940, 2864, 651, 1545,
    3084, 5115, 658, 1518, 1310, 1649, 2030, 2687, 795, 1825, 1992, 3819, 1932, 15818, 293, 565,
    835, 764, 1172, 1564, 4494, 1044, 1708, 1635, 1948, 2628, 2645, 5515, 1863, 2985, 1723, 2673,
    1618, 2458, 16612, 292, 373, 464, 392, 392, 329, 642, 916, 986, 897, 3772, 1165, 1626, 1591,
    1668, 1655, 4203, 890, 1357, 1418, 1461, 1367, 1638, 1530, 2305, 1691, 1653, 1648, 1861, 1627,
    699, 2247, 1449, 2568, 2668, 277, 4920, 1385, 3433, 2601, 3014, 2919, 2768, 2432, 17953, 324,
    469, 419, 515, 868, 1152, 1162, 727, 575, 3342, 1402, 1557, 2150, 1691, 1453, 2934, 685, 1010,
    532, 839, 689, 842, 453, 4407, 235, 267, 362, 353, 408, 447, 519, 591, 2594, 943, 1078, 1260,
    1667, 1842, 1954, 2102, 286, 2091, 7249, 1364, 1487, 1199, 1229, 831, 992, 822, 445,
];

/// 960 x 540, 907 kb/s.
#[rustfmt::skip]
const P540: [u32; 250] = [
    94776, 376, 486, 397, 417, 332, 411, 107, 1069, 1742, 2658, 3324, 2973, 6960, 1228, 3541, 2920,
    2396, 5610, 1086, 1871, 2324, 2498, 6044, 2302, 4490, 3010, 5273, 2608, 3962, 2970, 3327, 248,
    14477, 865, 1981, 2691, 2650, 2484, 2316, 2301, 2157, 2734, 1825, 1821, 1751, 1559, 2531, 1308,
    5530, 1888, 2366, 8787, 3264, 4710, 4504, 5002, 81, 4956, 5124, 5169, 5602, 6844, 10536, 1548,
    9212, 3970, 6925, 3169, 4259, 3798, 26330, 317, 755, 952, 1749, 2901, 1700, 2521, 3052, 904,
    11125, 201, 4493, 4226, 3139, 4371, 2244, 15754, 412, 1081, 2472, 26806, 609, 844, 1582, 1537,
    3317, 3290, 4178, 3641, 9054, 2925, 4678, 5687, 5009, 6597, 872, 7832, 4590, 6269, 4252, 4088,
    5248, 8249, 2237, 3604, 2731, 3842, 9691, 2484, 3970, 5295, 2992, 4879, 5167, 3794, 9085, 4017,
    5947, 20085, 2557, 35583, 654, 899, 1149, 1099, 1861, 2716, 2634, 8505, 3359, 4848, 5654, 5757,
    4324, 28624, 480, 802, 849, 1108, 1076, 1228, 916, 21712, 3553, 3509, 4944, 3077, 3424, 10427,
    1795, 2731, 3532, 820, 5806, 3507, 1852, 7435, 4616, 4943, 4977, 4944, 4877, 4344, 3754, 4594,
    4327, 4391, 4259, 3976, 3701, 3582, 4438, 3999, 4299, 4741, 5083, 6505, 2268, 5819, 9203, 5914,
    6670, 4693, 13768, 1539, 1732, 1986, 2195, 2646, 3208, 1361, 5330, 3127, 2906, 2744, 2789, 2612,
    1266, 2835, 2541, 2303, 2295, 449, 2909, 2719, 2323, 2469, 2094, 2466, 1042, 1425, 29885, 549,
    1098, 1427, 1600, 1885, 1885, 1493, 1697, 2217, 3304, 2346, 3333, 3783, 4157, 4103, 692, 3733,
    3333, 4014, 18997, 2157, 2693, 2090, 2114, 2605, 1475,
];

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_recording_is_one_key_frame_of_many_packets_and_unequal_others() {
        for (height, rate) in [(360, 400..420), (540, 890..910)] {
            let sizes = recorded(height).unwrap();
            let sent = sizes.iter().sum::<u32>() * 8 / 10_000;
            assert!(rate.contains(&sent), "{sent} kb/s");
            let packets = recorded_packets(height).unwrap();
            assert!(packets[0] > 40, "{}", packets[0]);
            assert!(packets[1..].iter().all(|count| *count < packets[0]));
            assert!(packets.contains(&1) && packets.contains(&5));
        }
        assert_eq!(recorded(720), None);
    }

    #[test]
    fn a_picture_is_cut_in_equal_parts_that_hold_a_mark() {
        assert_eq!(parts(1_160), (1, 1_160));
        assert_eq!(parts(1_161), (2, 581));
        assert_eq!(parts(5), (1, crate::pattern::LEAST));
    }
}
