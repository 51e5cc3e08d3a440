// Included by force into every source of the runtime: stacktide-link takes the symbols of objects with this section for the
// runtime's own. STACKTIDE_NO_MARK: for functions that pass for a library's.
#pragma once
#ifndef STACKTIDE_NO_MARK
asm(".pushsection .note.stacktide.runtime, \"\", @progbits\n.popsection\n");
#endif
