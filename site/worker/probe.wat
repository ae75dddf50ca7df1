;; What a device multiplies and reads: y = W x, row by row, with the 128-bit SIMD that ONNX Runtime Web's
;; kernels use. Compiled to site/vendor/probe/probe.wasm by `python -m pesoleve.vendor`.
(module
  (memory (export "memory") 1)

  ;; W: rows of `width` bytes of fp32; x: `width` bytes; y: a float a row. `width` is a multiple of 64.
  (func (export "gemv_float32") (param $w i32) (param $x i32) (param $y i32) (param $rows i32) (param $width i32)
    (local $at i32) (local $end i32) (local $a v128) (local $b v128) (local $c v128) (local $d v128)
    (local.set $end (i32.add (local.get $x) (local.get $width)))
    (loop $row
      (local.set $at (local.get $x))
      (local.set $a (v128.const i32x4 0 0 0 0))
      (local.set $b (local.get $a))
      (local.set $c (local.get $a))
      (local.set $d (local.get $a))
      (loop $column
        (local.set $a (f32x4.add (local.get $a) (f32x4.mul (v128.load (local.get $w)) (v128.load (local.get $at)))))
        (local.set $b (f32x4.add (local.get $b) (f32x4.mul (v128.load offset=16 (local.get $w)) (v128.load offset=16 (local.get $at)))))
        (local.set $c (f32x4.add (local.get $c) (f32x4.mul (v128.load offset=32 (local.get $w)) (v128.load offset=32 (local.get $at)))))
        (local.set $d (f32x4.add (local.get $d) (f32x4.mul (v128.load offset=48 (local.get $w)) (v128.load offset=48 (local.get $at)))))
        (local.set $w (i32.add (local.get $w) (i32.const 64)))
        (local.set $at (i32.add (local.get $at) (i32.const 64)))
        (br_if $column (i32.lt_u (local.get $at) (local.get $end))))
      (local.set $a (f32x4.add (f32x4.add (local.get $a) (local.get $b)) (f32x4.add (local.get $c) (local.get $d))))
      (f32.store (local.get $y)
        (f32.add
          (f32.add (f32x4.extract_lane 0 (local.get $a)) (f32x4.extract_lane 1 (local.get $a)))
          (f32.add (f32x4.extract_lane 2 (local.get $a)) (f32x4.extract_lane 3 (local.get $a)))))
      (local.set $y (i32.add (local.get $y) (i32.const 4)))
      (local.set $rows (i32.sub (local.get $rows) (i32.const 1)))
      (br_if $row (local.get $rows))))

  ;; W: rows of `width` unsigned bytes; x: as many int16; y: an int32 a row. `width` is a multiple of 16.
  (func (export "gemv_int8") (param $w i32) (param $x i32) (param $y i32) (param $rows i32) (param $width i32)
    (local $at i32) (local $end i32) (local $q v128) (local $a v128) (local $b v128)
    (loop $row
      (local.set $at (local.get $x))
      (local.set $end (i32.add (local.get $w) (local.get $width)))
      (local.set $a (v128.const i32x4 0 0 0 0))
      (local.set $b (local.get $a))
      (loop $column
        (local.set $q (v128.load (local.get $w)))
        (local.set $a (i32x4.add (local.get $a)
          (i32x4.dot_i16x8_s (i16x8.extend_low_i8x16_u (local.get $q)) (v128.load (local.get $at)))))
        (local.set $b (i32x4.add (local.get $b)
          (i32x4.dot_i16x8_s (i16x8.extend_high_i8x16_u (local.get $q)) (v128.load offset=16 (local.get $at)))))
        (local.set $w (i32.add (local.get $w) (i32.const 16)))
        (local.set $at (i32.add (local.get $at) (i32.const 32)))
        (br_if $column (i32.lt_u (local.get $w) (local.get $end))))
      (local.set $a (i32x4.add (local.get $a) (local.get $b)))
      (i32.store (local.get $y)
        (i32.add
          (i32.add (i32x4.extract_lane 0 (local.get $a)) (i32x4.extract_lane 1 (local.get $a)))
          (i32.add (i32x4.extract_lane 2 (local.get $a)) (i32x4.extract_lane 3 (local.get $a)))))
      (local.set $y (i32.add (local.get $y) (i32.const 4)))
      (local.set $rows (i32.sub (local.get $rows) (i32.const 1)))
      (br_if $row (local.get $rows)))))
