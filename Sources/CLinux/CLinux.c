// Everything in this room is a static inline wrapper; SwiftPM asks a C target for one source file.
#include "CLinux.h"
