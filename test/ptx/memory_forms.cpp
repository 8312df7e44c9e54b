// Loads, stores and asynchronous copies.
#include <cstring>

#include "test/ptx/block.h"
#include "test/ptx/lanes.h"

namespace minicpm::ptx {

namespace {

uint64_t address_in(Warp& warp, const Operand& operand, unsigned lane) {
  const uint64_t base = operand.row >= 0 ? warp.row(operand.row)[lane] : 0;
  return base + static_cast<uint64_t>(operand.offset);
}

void count(Warp& warp, const Form& form, const Operand& operand, uint32_t active, bool loads) {
  if (!counting || form.space == Space::param) return;
  uint64_t addresses[kLanes];
  for_lanes(active, [&](unsigned lane) { addresses[lane] = address_in(warp, operand, lane); });
  const auto first = static_cast<unsigned>(std::countr_zero(active));
  if (warp.block().is_shared(form.space, addresses[first])) {
    count_shared(addresses, active, form.bytes * form.count);
  } else {
    count_global(addresses, active, form.bytes * form.count, loads);
  }
}

const Operand& part(const Operand& operand, unsigned index) {
  return operand.kind == Operand::Kind::list ? operand.list[index] : operand;
}

uint64_t with_sign(uint64_t bits, unsigned bytes) {
  const unsigned away = 64 - bytes * 8;
  return static_cast<uint64_t>(static_cast<int64_t>(bits << away) >> away);
}

Outcome load(Warp& warp, const Instruction& instruction, uint32_t active) {
  const Form& form = *instruction.form;
  const Operand &to = instruction.operands[0], &from = instruction.operands[1];
  count(warp, form, from, active, true);
  for_lanes(active, [&](unsigned lane) {
    const std::byte* bytes = warp.block().reach(warp, form.space, address_in(warp, from, lane),
                                                form.bytes * form.count, Access::read);
    for (unsigned i = 0; i < form.count; i++) {
      const Operand& piece = part(to, i);
      if (piece.kind == Operand::Kind::nothing) continue;
      uint64_t bits = 0;
      std::memcpy(&bits, bytes + i * form.bytes, form.bytes);
      if (form.is_signed) bits = with_sign(bits, form.bytes);
      warp.row(piece.row)[lane] = bits & piece.mask;
    }
  });
  return Outcome::done;
}

Outcome store(Warp& warp, const Instruction& instruction, uint32_t active) {
  const Form& form = *instruction.form;
  const Operand &to = instruction.operands[0], &from = instruction.operands[1];
  count(warp, form, to, active, false);
  for_lanes(active, [&](unsigned lane) {
    std::byte* bytes = warp.block().reach(warp, form.space, address_in(warp, to, lane),
                                          form.bytes * form.count, Access::write);
    for (unsigned i = 0; i < form.count; i++) {
      std::memcpy(bytes + i * form.bytes, &warp.row(part(from, i).row)[lane], form.bytes);
    }
  });
  return Outcome::done;
}

/// [to], [from], bytes and, where a fourth is given, how many of them are copied.
Outcome begin_copy(Warp& warp, const Instruction& instruction, uint32_t active) {
  const Operand &to = instruction.operands[0], &from = instruction.operands[1];
  const auto bytes = static_cast<uint32_t>(instruction.operands[2].offset);
  if (bytes != 4 && bytes != 8 && bytes != 16) warp.fault("copies 4, 8 or 16 bytes");
  if (counting) {
    Form global = *instruction.form, shared = global;
    global.space = Space::global, shared.space = Space::shared;
    global.bytes = shared.bytes = bytes;
    count(warp, global, from, active, true);
    count(warp, shared, to, active, false);
  }
  for_lanes(active, [&](unsigned lane) {
    const bool cut = instruction.operands.size() > 3;
    const uint64_t source_bytes = cut ? warp.row(instruction.operands[3].row)[lane] : bytes;
    const auto target = static_cast<uint32_t>(address_in(warp, to, lane));
    const uint64_t source = address_in(warp, from, lane);
    if (source_bytes > bytes) warp.fault("copies more than it has room for");
    warp.block().reach(warp, Space::shared, target, bytes, Access::write);
    if (source_bytes > 0) {
      warp.block().reach(warp, Space::global, source, bytes, Access::read);
    }
    warp.block().forget_shared(target, bytes);
    warp.copies[lane].push_back(
        {target, source, bytes, static_cast<uint32_t>(source_bytes), warp.copy_groups[lane]});
  });
  return Outcome::done;
}

Outcome commit_copies(Warp& warp, const Instruction&, uint32_t active) {
  for_lanes(active, [&](unsigned lane) { warp.copy_groups[lane]++; });
  return Outcome::done;
}

Outcome wait_copies(Warp& warp, const Instruction& instruction, uint32_t active) {
  const auto keep = static_cast<uint32_t>(instruction.operands[0].offset);
  for_lanes(active, [&](unsigned lane) { warp.land_copies(lane, keep); });
  return Outcome::done;
}

struct Spelling {
  const char* word;
  Space space;
};

void add_accesses(Forms& forms, const char* opcode, Run run, const char* operands,
                  const Spelling& spelling) {
  for (const char* type : {"u8", "s8", "b8", "u16", "s16", "b16", "u32", "s32", "b32", "f32", "u64",
                           "s64", "b64", "f64"}) {
    const unsigned bytes = static_cast<unsigned>(std::stoi(type + 1)) / 8;
    for (unsigned count : {1u, 2u, 4u}) {
      if (bytes * count > 16) continue;
      Form form{opcode + std::string(spelling.word), operands, run};
      if (count > 1) form.name += ".v" + std::to_string(count);
      form.name += std::string(".") + type;
      form.space = spelling.space;
      form.bytes = bytes, form.count = count;
      form.is_signed = *type == 's';
      forms.add(form);
    }
  }
}

}  // namespace

void add_memory_forms(Forms& forms) {
  const Spelling readable[] = {{"", Space::generic},
                               {".global", Space::global},
                               {".global.nc", Space::global},
                               {".shared", Space::shared},
                               {".param", Space::param}};
  const Spelling writable[] = {
      {"", Space::generic}, {".global", Space::global}, {".shared", Space::shared}};
  for (const Spelling& spelling : readable) add_accesses(forms, "ld", load, "vm", spelling);
  for (const Spelling& spelling : writable) add_accesses(forms, "st", store, "mv", spelling);
  for (const char* name : {"cp.async.cg.shared.global", "cp.async.ca.shared.global"}) {
    forms.add({name, "mmns?", begin_copy});
  }
  forms.add({"cp.async.commit_group", "", commit_copies});
  forms.add({"cp.async.wait_group", "n", wait_copies});
}

}  // namespace minicpm::ptx
