/* Included before everything else, by stacktide_goroutines(target MOVABLE): marks the object file as movable code.
 *
 * The promise behind it: the address of a local is stored nowhere but in its own goroutine's stack and registers. stacktide-link
 * finds the empty section and puts the object's code into the output section stacktide_movable, where the runtime looks.
 * C and C++; nothing here is for use in programs. */
#ifndef STACKTIDE_MOVABLE_H
#define STACKTIDE_MOVABLE_H

__asm__(".pushsection .note.stacktide.movable,\"\",@progbits\n\t.popsection");

#endif
