#!/usr/bin/env python3
"""Makes reference cases that framepack verify has never seen, from the classes of diffusers and
transformers: networks of other sizes with seeded weights, their inputs, what the classes make of
them in float32, and limits from the same run in float64 and in the lower precisions.

  python tools/reference-cases.py OUT [NAME...]      # all but full-width, or those that begin so
  framepack verify OUT/*/ --dtype all

Needs torch, safetensors, transformers and diffusers of at least 0.34. full-width writes 1.3 GB
and needs 10 GB of memory: one double and one single block of the published width.
"""
import copy
import json
import os
import sys

import torch
from safetensors.torch import save_file

torch.set_num_threads(2)
bf16, f16, f32, f64 = torch.bfloat16, torch.float16, torch.float32, torch.float64


def normal(seed, *dims):
    return torch.randn(*dims, generator=torch.Generator().manual_seed(seed))


def seed_weights(model, gain):
    """Weights that keep activations near one, norms and biases that are seen."""
    g = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for name, p in model.named_parameters():
            noise = torch.randn(p.shape, generator=g)
            if p.ndim > 1:
                p.copy_(noise * gain / p[0].numel() ** 0.5)
            else:
                p.copy_(1 + 0.2 * noise if name.endswith("weight") else 0.1 * noise)


def rel_l2(got, want):
    return float((got.double() - want.double()).norm() / want.double().norm())


def limits(exact, got, low):
    """As the other cases set theirs: 20 times float32's own error, 2.5 times the precision's."""
    own = max(rel_l2(got[k], exact[k]) for k in got)
    found = {"metric": "rel_l2", "fp32_rel_l2": max(1e-5, 20 * own)}
    if own >= 2e-6:
        found["fp32_rel_l2"] = max(4e-5, 4 * own)
    for name, outputs in low.items():
        found[f"{name}_rel_l2"] = 2.5 * max(rel_l2(outputs[k], got[k]) for k in got)
    return found


def write(folder, make, forward, *, kind, final, stored, variants, low, gain=1.0, shard=None):
    """variants: name -> (inputs, settings). make() gives the model, forward its outputs."""
    os.makedirs(folder, exist_ok=True)
    model = make()
    seed_weights(model, gain)
    model.to(stored).save_pretrained(folder, **({"max_shard_size": shard} if shard else {}))
    held = {k: v.float() for k, v in model.state_dict().items()}
    # Made anew: tables that are no weights, as rotary frequencies, must not have been rounded.
    model = make()
    model.load_state_dict(held, strict=False)
    model.eval()
    del held
    case = {"case": os.path.basename(folder), "kind": kind, "final": final, "variants": {}}
    for variant, (inputs, settings) in variants.items():

        def run(dtype):
            typed = {k: v.to(dtype) if v.is_floating_point() else v for k, v in inputs.items()}
            with torch.inference_mode():
                return forward(copy.deepcopy(model).to(dtype), typed, settings)

        got = run(f32)
        tolerance = limits(run(f64), got, {name: run(dtype) for name, dtype in low.items()})
        case["variants"][variant] = {**settings, "tolerance": tolerance}
        suffix = "" if variant == "main" else f".{variant}"
        plain = {k: v if v.is_floating_point() else v.int() for k, v in inputs.items()}
        for word, tensors in (("inputs", plain), ("outputs", got)):
            whole = {k: v.contiguous().clone() for k, v in tensors.items()}
            save_file(whole, f"{folder}/{word}{suffix}.safetensors")
    with open(f"{folder}/case.json", "w", encoding="utf-8") as file:
        json.dump(case, file, indent=1)
    print("made", folder, flush=True)


# ---- The transformer -----------------------------------------------------------------------------

TRANSFORMERS = {  # name: config, stored as, [variant: seed, rows, columns, frames], shard
    "dit-24": (dict(heads=2, size=24, axes=(4, 10, 10)), bf16, [(1, 10, 6, 3), (2, 22, 26, 4)]),
    "dit-40": (
        dict(heads=3, size=40, axes=(8, 16, 16), num_single_layers=3, mlp_ratio=2.0),
        f16,
        [(4, 12, 18, 9), (5, 34, 4, 2)],
    ),
    "dit-72": (
        dict(heads=2, size=72, axes=(12, 30, 30), num_layers=3, num_refiner_layers=3),
        f32,
        [(6, 14, 10, 5), (7, 2, 2, 1)],
    ),
    "dit-128": (dict(heads=1, size=128, axes=(16, 56, 56)), bf16, [(8, 20, 30, 9)]),
    "dit-axes": (dict(heads=5, size=16, axes=(2, 6, 8), rope_theta=100.0), bf16, [(9, 8, 16, 3)]),
    "dit-unguided": (
        dict(heads=2, size=16, axes=(4, 6, 6), guidance_embeds=False),
        bf16,
        [(11, 6, 8, 3)],
    ),
    "full-width": (
        dict(heads=24, size=128, axes=(16, 56, 56), num_layers=1, num_single_layers=1),
        bf16,
        [(33, 8, 12, 9)],
    ),
}
TEXT, POOLED, IMAGE = 20, 12, 18


def transformer_inputs(seed, rows, columns, frames):
    g = torch.Generator().manual_seed(seed)
    noise = lambda *dims: torch.randn(*dims, generator=g)
    latents = lambda n: noise(1, 16, n, rows, columns)
    place = 1 + seed % 3 * 9  # sections still to come
    past = place + frames
    return {
        "hidden_states": latents(frames),
        "timestep": torch.tensor([[892.0, 8.0, 1000.0][seed % 3]]),
        "guidance": torch.tensor([9984.0]),
        "encoder_hidden_states": noise(1, 12, TEXT),
        "encoder_attention_mask": (torch.arange(12) < 1 + seed % 12).long()[None],
        "pooled_projections": noise(1, POOLED),
        "image_embeddings": noise(1, 1 + seed % 7, IMAGE),
        "latent_indices": torch.arange(place, past)[None],
        "clean_latents": latents(2),
        "clean_latent_indices": torch.tensor([[0, past]]),
        "clean_latents_2x": latents(2),
        "clean_latent_2x_indices": torch.arange(past + 1, past + 3)[None],
        "clean_latents_4x": latents(16),
        "clean_latent_4x_indices": torch.arange(past + 3, past + 19)[None],
    }


def transformer_forward(model, x, _settings):
    seen = {}

    def note(name):
        def hook(_module, _arguments, streams):
            seen[f"{name}.hidden_states"], seen[f"{name}.encoder_hidden_states"] = streams

        return hook

    for i, block in enumerate(model.transformer_blocks):
        block.register_forward_hook(note(f"double.{i}"))
    for i, block in enumerate(model.single_transformer_blocks):
        block.register_forward_hook(note(f"single.{i}"))
    seen["sample"] = model(
        hidden_states=x["hidden_states"],
        timestep=x["timestep"],
        guidance=x["guidance"] if model.config.guidance_embeds else None,
        encoder_hidden_states=x["encoder_hidden_states"],
        encoder_attention_mask=x["encoder_attention_mask"],
        pooled_projections=x["pooled_projections"],
        image_embeds=x["image_embeddings"],
        indices_latents=x["latent_indices"][0],
        latents_clean=x["clean_latents"],
        indices_latents_clean=x["clean_latent_indices"][0],
        latents_history_2x=x["clean_latents_2x"],
        indices_latents_history_2x=x["clean_latent_2x_indices"][0],
        latents_history_4x=x["clean_latents_4x"],
        indices_latents_history_4x=x["clean_latent_4x_indices"][0],
    ).sample
    return seen


def transformer(folder, name):
    from diffusers import HunyuanVideoFramepackTransformer3DModel

    config, stored, sizes = TRANSFORMERS[name]
    usual = dict(num_layers=2, num_single_layers=2, num_refiner_layers=2)
    named = {k: v for k, v in config.items() if k not in ("heads", "size", "axes")}
    make = lambda: HunyuanVideoFramepackTransformer3DModel(
        num_attention_heads=config["heads"],
        attention_head_dim=config["size"],
        rope_axes_dim=config["axes"],
        text_embed_dim=TEXT,
        pooled_projection_dim=POOLED,
        image_proj_dim=IMAGE,
        has_image_proj=True,
        has_clean_x_embedder=True,
        **{**usual, **named},
    )
    names = ["main", "other"]
    variants = {v: (transformer_inputs(*size), {}) for v, size in zip(names, sizes)}
    shared = dict(kind="transformer forward", final="sample", low={"bf16": bf16}, gain=0.7)
    shard = "2GB" if name == "full-width" else "400KB"
    shared.update(stored=stored, variants=variants, shard=shard)
    write(folder, make, transformer_forward, **shared)


# ---- The autoencoder -----------------------------------------------------------------------------

VAES = {  # name: widths, groups, layers, stored as, latents to decode, pictures to encode
    "vae-thin": ((6, 6, 12, 18), 3, 1, f16, [(2, 3, 7), (5, 2, 3), (10, 3, 2)], [(1, 16, 24)]),
    "vae-deep": ((8, 16, 16, 32), 8, 3, bf16, [(18, 2, 2), (19, 2, 2)], [(33, 16, 16)]),
    "vae-groups": ((32, 32, 64, 64), 32, 2, f32, [(3, 6, 5)], [(1, 40, 32), (17, 16, 8)]),
}


def vae_forward(model, x, _settings):
    scale = model.config.scaling_factor
    if "latents" in x:
        return {"pixels": model.decode(x["latents"] / scale).sample}
    found = model.encode(x["image"]).latent_dist
    latents = (found.mean + found.std * x["posterior_noise"]) * scale
    return {"posterior.mean": found.mean, "posterior.logvar": found.logvar, "latents": latents}


def vae(folder, name):
    from diffusers import AutoencoderKLHunyuanVideo

    widths, groups, layers, stored, decoded, encoded = VAES[name]
    config = dict(block_out_channels=widths, norm_num_groups=groups, layers_per_block=layers)
    variants = {}
    for t, h, w in decoded:
        variants[f"decode-{t}"] = ({"latents": 0.5 * normal(t, 1, 16, t, h, w)}, {})
    for t, h, w in encoded:
        noise = normal(t, 1, 16, (t - 1) // 4 + 1, h // 8, w // 8)
        image = normal(t + 1, 1, 3, t, h, w).clamp(-1, 1)
        variants[f"encode-{t}"] = ({"image": image, "posterior_noise": noise}, {})
    low = {"bf16": bf16, "fp16": f16}
    shared = dict(kind=f"vae {name}", final="pixels / latents", low=low, stored=stored)
    make = lambda: AutoencoderKLHunyuanVideo(**config)
    write(folder, make, vae_forward, variants=variants, **shared)


# ---- The encoders --------------------------------------------------------------------------------

ENCODERS = {  # name: config, stored as
    "llama-24": (dict(hidden_size=96, heads=4, num_key_value_heads=1, head_dim=24), bf16),
    "llama-72": (dict(hidden_size=132, heads=6, num_key_value_heads=3, head_dim=72), f16),
    "clip-24": (dict(hidden_size=72, heads=3, eos_token_id=2), bf16),
    "clip-eos": (dict(hidden_size=80, heads=2, eos_token_id=119), f32),
    "siglip-72": (dict(hidden_size=144, heads=2, image_size=52, patch_size=14), bf16),
    "siglip-40": (dict(hidden_size=120, heads=3, image_size=40, patch_size=5), f16),
}


def layered(prefix):
    def forward(model, x, settings):
        rows = settings.get("length")
        found = model(**x, output_hidden_states=True)
        states = [state[:, :rows] for state in found.hidden_states]
        if prefix == "hidden_states":
            named = {f"hidden_states.{i}": state for i, state in enumerate(states)}
            return {**named, "hidden_states_m3": states[-3]}
        named = {f"layer.{i}": state for i, state in enumerate(states[1:])}
        pooled = {} if prefix == "siglip" else {"pooler_output": found.pooler_output}
        last = {"last_hidden_state": found.last_hidden_state}
        return {"embeddings": states[0], **named, **last, **pooled}

    return forward


def encoder(folder, name):
    import transformers as t

    config, stored = ENCODERS[name]
    config = {**config, "num_attention_heads": config["heads"], "num_hidden_layers": 4}
    config = {k: v for k, v in config.items() if k != "heads"}
    config.update(intermediate_size=112, attn_implementation="eager")
    g = torch.Generator().manual_seed(7)
    if name.startswith("llama"):
        kind, final, forward = "llama hidden states", "hidden_states_m3", layered("hidden_states")
        make = lambda: t.LlamaModel(t.LlamaConfig(vocab_size=160, **config))
        ids = torch.randint(0, 160, (1, 130), generator=g)
        mask = (torch.arange(130) < 127).long()[None]
        variants = {"main": ({"input_ids": ids, "attention_mask": mask}, {"length": 127})}
    elif name.startswith("clip"):
        kind, final, forward = "clip text encoder, pooled", "pooler_output", layered("clip")
        settings = dict(vocab_size=120, hidden_act="quick_gelu", bos_token_id=0)
        make = lambda: t.CLIPTextModel(t.CLIPTextConfig(**settings, **config))
        ids = torch.randint(3, 119, (3, 77), generator=g)
        for row, end in enumerate((5, 40, 76)):
            ids[row, end:] = 119
        variants = {"main": ({"input_ids": ids}, {})}
    else:
        kind, final, forward = "siglip vision encoder", "last_hidden_state", layered("siglip")
        make = lambda: t.SiglipVisionModel(t.SiglipVisionConfig(**config))
        side = config["image_size"]
        variants = {"main": ({"pixel_values": normal(3, 1, 3, side, side)}, {})}
    low = {"bf16": bf16, "fp16": f16}
    shared = dict(kind=kind, final=final, low=low, variants=variants, shard="100KB")
    write(folder, make, forward, stored=stored, **shared)


def main(out, *asked):
    for names, make in ((TRANSFORMERS, transformer), (VAES, vae), (ENCODERS, encoder)):
        for name in names:
            if name.startswith(asked) if asked else name != "full-width":
                make(os.path.join(out, name), name)


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    main(*sys.argv[1:])
