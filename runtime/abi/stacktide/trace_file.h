/* The trace file: what `stacktide record` and STACKTIDE_TRACE write, and `stacktide trace` reads.
 *
 * Concept. A recording of what goroutines and their stacks did: little-endian, self-describing in its lengths and texts, and valid at any
 * instant while it is being written. The program itself writes it, through shared mappings of the file, so that whatever ends the program,
 * SIGKILL included, loses nothing that was recorded.
 *
 *   file:  chunk 0, which is stacktide_trace_header, zeros behind it | chunk 1 | chunk 2 | ...      each chunk_size bytes
 *   chunk: stacktide_trace_chunk | record | record | ...                                             `used` bytes, zeros behind them
 *
 * A chunk belongs to one *lane*, which has one writer at a time; the chunks of a lane, in order of `sequence`, are its records in the order in which
 * they were written. Times within a lane almost never run backwards (a lane that threads share may, by microseconds); readers merge
 * lanes by time. A chunk whose magic is 0 was never begun. The last chunk may be cut short.
 *
 * Invariants. A writer fills a record, then raises `used` over it: what `used` covers is whole. What was written is never changed, only more of it
 * follows; of chunk 0 only `lost` changes. A record begins with its kind and its size, a multiple of 8, and no record crosses a chunk's end: a
 * reader skips kinds that it does not know, and takes fields behind the ones it knows for granted. A record of size 0, or one that leaves
 * its chunk, is damage; the reader goes on with the next chunk. A chain or a text is written before the first record that names it, though perhaps in
 * another lane and with a later time: readers take all of these first.
 *
 * Versions. `major` changes when files can no longer be read by the rules above; `minor` grows when kinds or fields are added, and no reader
 * looks at it.
 *
 * Who symbolizes. Code addresses are the program's own; the module records say where they lie in which file. `stacktide record` appends symbol records
 * when the program has ended, so that the file means something when the executable is gone: a lane of its own, STACKTIDE_LANE_SYMBOLS.
 *
 * Rejected: one stream with a lock (a writer would wait for another); variable-length numbers, as Go's traces have (a third of the size, three times the
 * work where it is to disturb least); a buffer that a thread writes out (what kills the program takes the buffer with it); JSON.
 */
#ifndef STACKTIDE_TRACE_FILE_H
#define STACKTIDE_TRACE_FILE_H

#include <stdint.h>

#define STACKTIDE_TRACE_MAGIC UINT64_C(0x656361727464746b)      /* "ktdtrace" */
#define STACKTIDE_TRACE_CHUNK_MAGIC UINT32_C(0x6b6e6863)        /* "chnk" */
#define STACKTIDE_TRACE_MAJOR 1
#define STACKTIDE_TRACE_MINOR 0
#define STACKTIDE_TRACE_CHUNK_SIZE 65536 /* what our runtime writes; readers go by the header */
#define STACKTIDE_LANE_SYMBOLS 0xffff
#define STACKTIDE_LANE_MAX 0xfffe

/* Times are nanoseconds of CLOCK_MONOTONIC, sizes bytes. */
typedef struct {
  uint64_t magic;
  uint16_t major;
  uint16_t minor;
  uint32_t header_size; /* bytes of this structure */
  uint32_t chunk_size;  /* bytes, a power of two from 4096 to 16 MiB */
  uint32_t pid;
  int64_t started;          /* when recording began */
  int64_t started_realtime; /* the same instant, nanoseconds since 1970 */
  uint64_t lost;            /* records that found no room, so far */
  uint32_t max_procs;
  uint32_t policy; /* value of abi.h's enumeration policy */
  uint64_t min_stack;
  uint64_t segment_size;
  uint64_t max_stack;
  uint32_t waits; /* 1: a full buffer makes its writer wait; 0: the record is counted as lost */
  uint32_t reserved;
} stacktide_trace_header;

typedef struct {
  uint32_t magic; /* written last */
  uint16_t lane;
  uint16_t header_size; /* bytes of this structure: where the first record is */
  uint32_t sequence;    /* of the lane, from 0 */
  uint32_t used;        /* bytes of whole records behind the header */
} stacktide_trace_chunk;

enum {
  STACKTIDE_TRACE_GROW = 1,    /* stacktide_trace_stack; the numbers of kinds 1 to 4 are those of abi.h's event_kind */
  STACKTIDE_TRACE_SHRINK = 2,  /* stacktide_trace_stack */
  STACKTIDE_TRACE_LINK = 3,    /* stacktide_trace_stack */
  STACKTIDE_TRACE_RELEASE = 4, /* stacktide_trace_stack */
  STACKTIDE_TRACE_SPAWN = 5,   /* stacktide_trace_spawn */
  STACKTIDE_TRACE_EXIT = 6,    /* stacktide_trace_goroutine: the goroutine ended */
  STACKTIDE_TRACE_LIVE = 7,    /* stacktide_trace_goroutine: it was still there when the program ended */
  STACKTIDE_TRACE_PARK = 8,    /* stacktide_trace_park */
  STACKTIDE_TRACE_READY = 9,   /* stacktide_trace_ready */
  STACKTIDE_TRACE_LABEL = 10,  /* stacktide_trace_text: set_label() */
  STACKTIDE_TRACE_CHAIN = 11,  /* stacktide_trace_chain */
  STACKTIDE_TRACE_MODULE = 12, /* stacktide_trace_module */
  STACKTIDE_TRACE_NAME = 13,   /* stacktide_trace_text: of a wait reason; `number` is its value */
  STACKTIDE_TRACE_END = 14,    /* stacktide_trace_text: the program ends; the text says how: "exit", "deadlock", "fatal error: ..." */
  STACKTIDE_TRACE_SYMBOL = 15, /* stacktide_trace_symbol */
  STACKTIDE_TRACE_STATUS = 16, /* stacktide_trace_text: number is what waitpid() said; from `stacktide record` */
  STACKTIDE_TRACE_COMMAND = 17 /* stacktide_trace_text: the command line, arguments separated by spaces */
};

/* What every record begins with. */
typedef struct {
  uint8_t kind;
  uint8_t flags;
  uint16_t size;   /* bytes of the record with this head, a multiple of 8 */
  uint32_t number; /* by kind; of stack events, spawns and parks a chain: the frames at that moment, 0 unknown */
  int64_t time;
  uint64_t goroutine; /* its id, 0: of none */
} stacktide_trace_head;

/* flags of a link: the function that crossed the boundary last crosses it again, the hot split. */
#define STACKTIDE_TRACE_HOT 1
/* flags of a live goroutine whose stack is being moved, or a spawn of the main one. */
#define STACKTIDE_TRACE_MAIN 2

typedef struct {
  stacktide_trace_head head;
  uint32_t old_size; /* of the segment; sizes and durations saturate */
  uint32_t new_size;
  uint32_t used;     /* copied by a grow or shrink; in use in the old segment at a link */
  uint32_t duration; /* ns; 0: not measured (a segment that was kept) */
  uint32_t adjusted; /* words that were changed */
  uint32_t scanned;  /* of these, without a stack map */
} stacktide_trace_stack;

typedef struct {
  stacktide_trace_head head; /* number: where it was created, of the parent's frames */
  uint64_t parent;
  uint64_t entry; /* address of the entry function */
  uint64_t creation_pc;
  uint64_t stack_size;
} stacktide_trace_spawn;

/* The runtime's own counters of a goroutine, and its last state. */
typedef struct {
  stacktide_trace_head head; /* of a live one, number: the chain where it parked, as far as known */
  uint64_t stack_size;       /* over all segments */
  uint64_t high_water;
  uint64_t bytes_copied;
  uint32_t grows;
  uint32_t links;
  uint32_t shrinks;
  uint32_t hot_splits;
  uint16_t status; /* value of abi.h's enumeration status */
  uint16_t wait_reason;
  uint32_t reserved;
  int64_t since; /* when it began to wait, 0: does not */
} stacktide_trace_goroutine;

typedef struct {
  stacktide_trace_head head;
  uint32_t used; /* of its stack, over all segments */
  uint16_t wait_reason;
  uint16_t reserved;
  uint64_t object; /* what it waits for: an address, 0 none */
} stacktide_trace_park;

typedef struct {
  stacktide_trace_head head;
  uint64_t by; /* the goroutine that made it ready, 0: none did (a timer) */
} stacktide_trace_ready;

/* Text fills the record's rest and ends at its first zero byte. */
typedef struct {
  stacktide_trace_head head;
} stacktide_trace_text;

/* head.number: its number, from 1. The return addresses fill the rest, innermost first: for a grow or link the first is one in the function that
 * needed room, the second one in its caller. At most STACKTIDE_TRACE_DEPTH; fewer where a frame has no stack map. */
#define STACKTIDE_TRACE_DEPTH 8
typedef struct {
  stacktide_trace_head head;
} stacktide_trace_chain;

/* Code of a file, as it is mapped. Written when it is first seen; a later one that overlaps replaces it. The absolute path follows, ended by a zero byte. */
typedef struct {
  stacktide_trace_head head;
  uint64_t bias; /* address in the process minus address in the file's ELF headers */
  uint64_t lo;   /* of its executable segments */
  uint64_t hi;
  uint32_t build_id_size; /* bytes, 0: it has none; at most 32 */
  uint8_t build_id[32];
  uint32_t reserved;
} stacktide_trace_module;

/* One level of the code at an address, innermost inlined function first; head.number counts the levels from 0. Texts follow, each ended by a zero
 * byte: function, file, module, linkage name. Empty: unknown. */
typedef struct {
  stacktide_trace_head head;
  uint64_t pc;        /* as in the chain; of an entry function its address */
  uint32_t line;      /* 0: unknown */
  uint32_t is_exact;  /* 1: pc is an instruction, as an entry is; 0: a return address */
} stacktide_trace_symbol;

#endif
