/* Stack maps: which words of a frame are pointers, for each place where goroutine code calls.
 *
 * Concept. stacktide-link reads CFI and DWARF of the linked program and adds two blocks to it. The *maps* (symbol
 * stacktide_maps, section .stacktide_maps, loaded with the program, read-only) tell the runtime what to do with each word of a
 * frame when it copies a stack. The *names* (section .debug_stacktide, not loaded; strip and objcopy --only-keep-debug treat
 * it as debug information) tell a person which variable a word is. Both are little-endian, and all offsets in them are bytes
 * from the start of their block.
 *
 * A site is a return address: the byte behind a call instruction in code with stack checks. Its frame reaches from rsp at
 * that address (the callee's CFA) to its own CFA. Words are counted down from the CFA: word 0 is the 8 bytes below it, the
 * return address. The call of __morestack in a function's check is a site too, and tells of the argument registers.
 *
 *   maps:  stacktide_maps | regions | sites, by region and pc | shapes
 *   names: stacktide_names | list offset per site | lists | pins | text
 *
 * Sites are found by binary search in their region. Most sites share a shape with others: it is stored once.
 *
 * Rejected: one self-contained record per site (ten times as large); Go's bit per word (cannot tell certain scalars from
 * unknown words, and C++ has many of the latter); names in the loaded block (a stripped program needs none).
 */
#ifndef STACKTIDE_STACK_MAP_H
#define STACKTIDE_STACK_MAP_H

#include <stdint.h>

#define STACKTIDE_MAPS_MAGIC UINT32_C(0x70616d73)  /* "smap" */
#define STACKTIDE_NAMES_MAGIC UINT32_C(0x6d616e73) /* "snam" */
#define STACKTIDE_MAPS_VERSION 1
#define STACKTIDE_MAPS_SYMBOL "stacktide_maps"
#define STACKTIDE_MAPS_SECTION ".stacktide_maps"
#define STACKTIDE_NAMES_SECTION ".debug_stacktide"

typedef struct {
  uint32_t magic;
  uint16_t version;
  uint16_t header_size; /* bytes of this structure */
  uint32_t size;        /* bytes of the whole block */
  uint32_t region_offset;
  uint32_t region_count; /* 0: the program has no maps */
  uint32_t site_offset;
  uint32_t site_count;
  uint32_t shape_offset;
  uint32_t shape_size; /* bytes of all shapes */
  uint32_t pinned;     /* sites in MOVABLE code whose frames must not move all the same */
} stacktide_maps_header;

/* A stretch of goroutine code. */
typedef struct {
  int64_t code;        /* from the address of this field to the region's first byte */
  uint32_t size;       /* bytes of code */
  uint32_t first_site; /* its sites: indices first_site .. first_site + site_count - 1 */
  uint32_t site_count;
  uint32_t reserved;
} stacktide_map_region;

/* shape: bits 0-19 the shape's offset from shape_offset in units of 4 bytes, or STACKTIDE_NO_SHAPE; bits 20-25: registers that
 * hold scalars for certain; bits 26-31: registers that hold pointers. Bit n of these is register n of STACKTIDE_MAP_REGISTERS;
 * at a site with STACKTIDE_SHAPE_MORESTACK, of STACKTIDE_MAP_ARGUMENTS. A register in neither is unknown; one that is unknown and
 * that the frame does not save still has the value that it has in the caller, and its kind. */
typedef struct {
  uint32_t pc; /* bytes from the region's first byte to the return address */
  uint32_t shape;
} stacktide_map_site;
#define STACKTIDE_NO_SHAPE UINT32_C(0xfffff) /* nothing is known of this frame, and it must not move */
#define STACKTIDE_SITE_SHAPE(word) ((word)&UINT32_C(0xfffff))
#define STACKTIDE_SITE_SCALARS(word) ((word) >> 20 & 0x3f)
#define STACKTIDE_SITE_POINTERS(word) ((word) >> 26 & 0x3f)

/* DWARF numbers of rbx, rbp, r12, r13, r14, r15, and of rdi, rsi, rdx, rcx, r8, r9. */
#define STACKTIDE_MAP_REGISTERS {3, 6, 12, 13, 14, 15}
#define STACKTIDE_MAP_ARGUMENTS {5, 4, 1, 2, 8, 9}
#define STACKTIDE_MAP_REGISTER_COUNT 6
#define STACKTIDE_MAP_RBP 1 /* its index */

/* A shape, aligned to 4 bytes. Behind it, 16 bits each: for each register in `saved`, by index, the word where the frame saved
 * the caller's; then `runs` runs of words from word 0 on, kind << 14 | count. Words behind the last run are unknown. */
typedef struct {
  uint8_t cfa;    /* STACKTIDE_CFA_* */
  uint8_t flags;  /* STACKTIDE_SHAPE_* */
  uint8_t saved;  /* bit n: register n of STACKTIDE_MAP_REGISTERS is saved in this frame */
  uint8_t unused; /* 0 */
  uint16_t runs;
  uint16_t reserved;
  int32_t offset; /* bytes, for `cfa` */
} stacktide_map_shape;

enum {
  STACKTIDE_CFA_RSP = 0,  /* rsp + offset; rsp at the return address */
  STACKTIDE_CFA_RBP = 1,  /* rbp + offset */
  /* The word at rbp + offset: a frame that aligns the stack. The caller's rbp is the word at rbp. Nothing else of the frame is known:
   * whatever register its callees saved may be a pointer. */
  STACKTIDE_CFA_AT_RBP = 2
};
enum {
  STACKTIDE_SHAPE_PINNED = 1,   /* the frame must not move */
  STACKTIDE_SHAPE_MORESTACK = 2 /* the call in a function's stack check */
};
enum {
  STACKTIDE_WORD_UNKNOWN = 0, /* perhaps a pointer */
  STACKTIDE_WORD_SCALAR = 1,  /* for certain none */
  STACKTIDE_WORD_POINTER = 2, /* a variable that holds pointers */
  STACKTIDE_WORD_FRAME = 3    /* return address, or a saved register: of the kind that the register has in the caller */
};
#define STACKTIDE_RUN_KIND(run) ((run) >> 14)
#define STACKTIDE_RUN_COUNT(run) ((run)&0x3fff)

/* ---- Names ---- */

typedef struct {
  uint32_t magic;
  uint16_t version;
  uint16_t header_size;
  uint32_t size;
  uint32_t site_offset; /* one uint32_t per site of the maps, in their order: the offset of its list, 0 for an empty one */
  uint32_t site_count;  /* equal to that of the maps */
  uint32_t pin_offset;
  uint32_t pin_count;
  uint32_t text_offset; /* zero-terminated texts; names and types are offsets from here */
  uint32_t text_size;
  uint32_t reserved;
} stacktide_names_header;

/* A list: uint32_t count, then so many of these, the variables in scope at a site, innermost scope first. */
typedef struct {
  int32_t offset; /* bytes from the CFA; 0 for one in a register */
  uint32_t size;  /* bytes */
  uint32_t name;
  uint32_t type;
  uint16_t reg;  /* DWARF number of the register that holds it, or STACKTIDE_IN_MEMORY */
  uint16_t kind; /* STACKTIDE_WORD_*, of its words as a whole; UNKNOWN: some of it may be pointers, some may not */
} stacktide_map_variable;
#define STACKTIDE_IN_MEMORY 0xffff

/* Why the code from `begin` to `end` (bytes from the region's first byte) is pinned. Sorted by region and begin. A function may
 * have several. Only for functions that are pinned by what they hold, not those whose target is not MOVABLE. */
typedef struct {
  uint32_t region;
  uint32_t begin;
  uint32_t end;
  uint32_t name; /* of the variable or parameter; "" when the reason is another */
  uint32_t type; /* of the variable, or the reason: "no debug information" */
} stacktide_map_pin;

#endif
