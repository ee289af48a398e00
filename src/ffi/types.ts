// Plain types shared by everything above the library: dtypes and op options. No bun:ffi here; importable anywhere.

export type Dtype = "f32" | "bf16" | "f16" | "i32" | "u8";
/** The dtypes activations can have. */
export type FloatDtype = "f32" | "bf16" | "f16";
export type Activation = "none" | "gelu_tanh" | "silu" | "quick_gelu";
export type Mask = "none" | "causal" | "frame_causal";
export type RopeStyle = "neighbours" | "halves";
export type Backend = "cpu" | "cuda" | "emulated";
