/* Dropout for dropout.py: what is kept is a function of the place and of two numbers, so no mask is stored.

   Each place is hashed (Murmur3's finaliser, the second number added half-way); a place is kept where the upper 31 bits
   of its hash are at least `threshold`. */

#include <stdint.h>

typedef struct {
    long count;
    uint32_t first, second; /* the numbers that say which */
    int32_t threshold;
    float scale; /* of what is kept */
} Draw;

static inline int32_t hash(uint32_t place, uint32_t first, uint32_t second) {
    uint32_t h = place * 0x9e3779b9u + first;
    h = (h ^ (h >> 16)) * 0x85ebca6bu;
    h = ((h ^ (h >> 13)) + second) * 0xc2b2ae35u;
    return (int32_t)((h ^ (h >> 16)) >> 1);
}

/* to = x, with places set to 0 and the others scaled */
void drop(const float *restrict x, float *restrict to, const Draw d) {
#pragma omp parallel for simd schedule(static)
    for (long i = 0; i < d.count; i++)
        to[i] = hash((uint32_t)i, d.first, d.second) >= d.threshold ? x[i] * d.scale : 0.0f;
}

/* to = base + x, places of x set to 0 and the others scaled */
void drop_and_add(const float *restrict x, const float *restrict base, float *restrict to, const Draw d) {
#pragma omp parallel for simd schedule(static)
    for (long i = 0; i < d.count; i++)
        to[i] = base[i] + (hash((uint32_t)i, d.first, d.second) >= d.threshold ? x[i] * d.scale : 0.0f);
}
