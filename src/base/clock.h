// The clock is public, because an embedder passes one to the engine.
#pragma once

#include <godwit/clock.h>
