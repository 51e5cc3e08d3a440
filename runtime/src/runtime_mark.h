// Included by force into every source of the runtime: stacktide-link takes the symbols of objects with this section for the runtime's own.
#pragma once
asm(".pushsection .note.stacktide.runtime, \"\", @progbits\n.popsection\n");
