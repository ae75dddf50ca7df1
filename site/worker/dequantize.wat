;; Blocks of 4 and 8 bits to fp32, in the memory of ONNX Runtime Web. Compiled to site/vendor/dequantize/dequantize.wasm
;; by `python -m pesoleve.vendor`.
(module
  (import "runtime" "memory" (memory 0 65536 shared))

  ;; Finite fp16 numbers, all their high bytes and all their low ones, to fp32. Sixteen at a time: `count` is
  ;; rounded up.
  (func (export "widen") (param $high i32) (param $low i32) (param $out i32) (param $count i32)
    (local $a v128) (local $b v128) (local $end i32)
    (local.set $end (i32.add (local.get $high) (local.get $count)))
    (loop $sixteen
      (local.set $a (v128.load (local.get $low)))
      (local.set $b (v128.load (local.get $high)))
      (call $widen8 (local.get $out)
        (i8x16.shuffle 0 16 1 17 2 18 3 19 4 20 5 21 6 22 7 23 (local.get $a) (local.get $b)))
      (call $widen8 (i32.add (local.get $out) (i32.const 32))
        (i8x16.shuffle 8 24 9 25 10 26 11 27 12 28 13 29 14 30 15 31 (local.get $a) (local.get $b)))
      (local.set $out (i32.add (local.get $out) (i32.const 64)))
      (local.set $low (i32.add (local.get $low) (i32.const 16)))
      (local.set $high (i32.add (local.get $high) (i32.const 16)))
      (br_if $sixteen (i32.lt_u (local.get $high) (local.get $end)))))

  (func $widen8 (param $out i32) (param $halves v128)
    (v128.store (local.get $out) (call $widen4 (i32x4.extend_low_i16x8_u (local.get $halves))))
    (v128.store offset=16 (local.get $out) (call $widen4 (i32x4.extend_high_i16x8_u (local.get $halves)))))

  ;; Exponent and fraction where fp32 has them, and 2^112 for the difference of the two biases: exact, and for
  ;; subnormal numbers too.
  (func $widen4 (param $half v128) (result v128)
    (v128.or
      (i32x4.shl (v128.and (local.get $half) (v128.const i32x4 0x8000 0x8000 0x8000 0x8000)) (i32.const 16))
      (f32x4.mul
        (i32x4.shl (v128.and (local.get $half) (v128.const i32x4 0x7fff 0x7fff 0x7fff 0x7fff)) (i32.const 13))
        (v128.const f32x4 0x1p112 0x1p112 0x1p112 0x1p112))))

  ;; out[k] = scale[b] * (q[k] - zero) + minimum[b], the product rounded and then the sum, for blocks of `width` bytes,
  ;; a multiple of 16. `minimum` is 0 where there is none.
  (func (export "dequantize8") (param $q i32) (param $scale i32) (param $minimum i32) (param $zero f32)
      (param $out i32) (param $blocks i32) (param $width i32)
    (local $end i32) (local $z v128) (local $d v128) (local $m v128)
    (local.set $z (f32x4.splat (local.get $zero)))
    (loop $block
      (local.set $d (v128.load32_splat (local.get $scale)))
      (local.set $m (call $minimum (local.get $minimum)))
      (local.set $end (i32.add (local.get $q) (local.get $width)))
      (loop $sixteen
        (call $scale16 (local.get $out) (local.get $z) (local.get $d) (local.get $m) (v128.load (local.get $q)))
        (local.set $out (i32.add (local.get $out) (i32.const 64)))
        (local.set $q (i32.add (local.get $q) (i32.const 16)))
        (br_if $sixteen (i32.lt_u (local.get $q) (local.get $end))))
      (local.set $scale (i32.add (local.get $scale) (i32.const 4)))
      (if (local.get $minimum) (then (local.set $minimum (i32.add (local.get $minimum) (i32.const 4)))))
      (local.set $blocks (i32.sub (local.get $blocks) (i32.const 1)))
      (br_if $block (local.get $blocks))))

  ;; The same of two levels to a byte, the even one in the low nibble.
  (func (export "dequantize4") (param $q i32) (param $scale i32) (param $minimum i32) (param $zero f32)
      (param $out i32) (param $blocks i32) (param $width i32)
    (local $end i32) (local $z v128) (local $d v128) (local $m v128)
    (local $pairs v128) (local $even v128) (local $odd v128)
    (local.set $z (f32x4.splat (local.get $zero)))
    (loop $block
      (local.set $d (v128.load32_splat (local.get $scale)))
      (local.set $m (call $minimum (local.get $minimum)))
      (local.set $end (i32.add (local.get $q) (local.get $width)))
      (loop $sixteen
        (local.set $pairs (v128.load (local.get $q)))
        (local.set $even (v128.and (local.get $pairs) (i8x16.splat (i32.const 15))))
        (local.set $odd (i8x16.shr_u (local.get $pairs) (i32.const 4)))
        (call $scale16 (local.get $out) (local.get $z) (local.get $d) (local.get $m)
          (i8x16.shuffle 0 16 1 17 2 18 3 19 4 20 5 21 6 22 7 23 (local.get $even) (local.get $odd)))
        (call $scale16 (i32.add (local.get $out) (i32.const 64)) (local.get $z) (local.get $d) (local.get $m)
          (i8x16.shuffle 8 24 9 25 10 26 11 27 12 28 13 29 14 30 15 31 (local.get $even) (local.get $odd)))
        (local.set $out (i32.add (local.get $out) (i32.const 128)))
        (local.set $q (i32.add (local.get $q) (i32.const 16)))
        (br_if $sixteen (i32.lt_u (local.get $q) (local.get $end))))
      (local.set $scale (i32.add (local.get $scale) (i32.const 4)))
      (if (local.get $minimum) (then (local.set $minimum (i32.add (local.get $minimum) (i32.const 4)))))
      (local.set $blocks (i32.sub (local.get $blocks) (i32.const 1)))
      (br_if $block (local.get $blocks))))

  ;; -0 where there is none, which leaves what it is added to as it is.
  (func $minimum (param $at i32) (result v128)
    (if (result v128) (local.get $at)
      (then (v128.load32_splat (local.get $at)))
      (else (v128.const f32x4 -0 -0 -0 -0))))

  (func $scale16 (param $out i32) (param $z v128) (param $d v128) (param $m v128) (param $levels v128)
    (local $low v128) (local $high v128)
    (local.set $low (i16x8.extend_low_i8x16_u (local.get $levels)))
    (local.set $high (i16x8.extend_high_i8x16_u (local.get $levels)))
    (v128.store (local.get $out) (call $scale4
      (local.get $z) (local.get $d) (local.get $m) (i32x4.extend_low_i16x8_s (local.get $low))))
    (v128.store offset=16 (local.get $out) (call $scale4
      (local.get $z) (local.get $d) (local.get $m) (i32x4.extend_high_i16x8_s (local.get $low))))
    (v128.store offset=32 (local.get $out) (call $scale4
      (local.get $z) (local.get $d) (local.get $m) (i32x4.extend_low_i16x8_s (local.get $high))))
    (v128.store offset=48 (local.get $out) (call $scale4
      (local.get $z) (local.get $d) (local.get $m) (i32x4.extend_high_i16x8_s (local.get $high)))))

  (func $scale4 (param $z v128) (param $d v128) (param $m v128) (param $levels v128) (result v128)
    (f32x4.add
      (f32x4.mul (f32x4.sub (f32x4.convert_i32x4_s (local.get $levels)) (local.get $z)) (local.get $d))
      (local.get $m))))
