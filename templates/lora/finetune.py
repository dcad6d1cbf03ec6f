"""Fine-tunes MODEL on the examples of data.jsonl with LoRA, and writes the adapter to adapter/."""

import json
import os
import pathlib

try:
    import torch
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM, AutoTokenizer
except ImportError:  # without these the examples are read and counted, which is enough to try the job out
    torch = None

ADAPTER = pathlib.Path("adapter")


def examples():
    lines = pathlib.Path("data.jsonl").read_text().splitlines()
    return [f"{e['prompt']}\n{e['answer']}" for e in map(json.loads, lines)]


def finetune(name, texts, steps):
    device = "cuda" if torch.cuda.is_available() else "cpu"
    tokenizer = AutoTokenizer.from_pretrained(name)
    model = AutoModelForCausalLM.from_pretrained(name, torch_dtype=torch.bfloat16).to(device)
    model = get_peft_model(model, LoraConfig(r=16, lora_alpha=32, target_modules="all-linear", task_type="CAUSAL_LM"))
    model.print_trainable_parameters()
    optimizer = torch.optim.AdamW((p for p in model.parameters() if p.requires_grad), lr=2e-4)
    for step in range(1, steps + 1):
        batch = tokenizer(texts[step % len(texts)] + tokenizer.eos_token, return_tensors="pt").to(device)
        loss = model(**batch, labels=batch["input_ids"]).loss
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        if step % 10 == 0:
            print(f"step {step} loss {loss.item():.4f}", flush=True)
    model.save_pretrained(ADAPTER)


def main():
    name, texts, steps = os.environ["MODEL"], examples(), int(os.environ["STEPS"])
    print(f"{name} on {len(texts)} examples, {steps} steps", flush=True)
    ADAPTER.mkdir(exist_ok=True)
    if torch:
        finetune(name, texts, steps)
    (ADAPTER / "run.json").write_text(json.dumps({"model": name, "steps": steps, "examples": len(texts)}) + "\n")


if __name__ == "__main__":
    main()
