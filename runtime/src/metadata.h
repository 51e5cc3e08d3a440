// The exported descriptor, and the roots that change.
#pragma once

#include <cstdint>

namespace stacktide::runtime {

struct M;
struct P;
struct EventRing;
struct Span;
struct StackCell;

// Dirties the descriptor's page, so that a default core holds it. Once, before anything else of the runtime.
void publish_descriptor();
void publish_slabs(std::uint64_t count);
void publish_ms(std::uint64_t count);
void publish_ps(const P* ps, std::uint64_t count);
void publish_event_rings(const EventRing* rings, std::uint64_t count);
void publish_spans(const Span* spans, std::uint64_t count, const StackCell* cells, std::uint64_t cell_count);
void publish_arena(std::uint64_t lo, std::uint64_t hi);
void add_stack_bytes(std::int64_t change);

}  // namespace stacktide::runtime
