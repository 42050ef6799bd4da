/* Max pooling by 2 for pool.py: one pass over the map forward, one backward.

   Maps are (images, height, width, channels) floats without gaps; channels is a multiple of 16. Which of the four pixels
   was the largest is kept in a byte. A pixel that is not a number counts as the largest, as in torch. */

typedef float lanes __attribute__((vector_size(64), aligned(4), may_alias));
typedef int numbers __attribute__((vector_size(64)));
typedef signed char bytes __attribute__((vector_size(16), aligned(1), may_alias));

#define LANES 16

typedef struct {
    long images, height, width, channels;
} Shape;

void pool(const float *x, float *y, signed char *which, const Shape s) {
    const long down = s.height / 2, across = s.width / 2;
#pragma omp parallel for schedule(static)
    for (long row = 0; row < s.images * down; row++) {
        const float *from = x + (row / down * s.height + row % down * 2) * s.width * s.channels;
        for (long column = 0; column < across; column++) {
            const long to = (row * across + column) * s.channels;
            for (long c = 0; c < s.channels; c += LANES) {
                const float *corner = from + column * 2 * s.channels + c;
                lanes best = *(const lanes *)corner;
                numbers place = {0};
                for (int k = 1; k < 4; k++) {
                    const lanes other = *(const lanes *)(corner + (k / 2 * s.width + k % 2) * s.channels);
                    const numbers larger = (other > best) | (other != other);
                    best = (lanes)(((numbers)other & larger) | ((numbers)best & ~larger));
                    place = (larger & k) | (place & ~larger);
                }
                *(lanes *)(y + to + c) = best;
                *(bytes *)(which + to + c) = __builtin_convertvector(place, bytes);
            }
        }
    }
}

void pool_back(const float *dy, const signed char *which, float *dx, const Shape s) {
    const long down = s.height / 2, across = s.width / 2, line = s.width * s.channels;
#pragma omp parallel for schedule(static)
    for (long row = 0; row < s.images * ((s.height + 1) / 2); row++) {
        const long image = row / ((s.height + 1) / 2), r = row % ((s.height + 1) / 2);
        float *to = dx + (image * s.height + r * 2) * line;
        if (r == down) { /* the last line of a map of odd height belongs to no pixel of the output */
            __builtin_memset(to, 0, sizeof(float) * line);
            continue;
        }
        for (long column = 0; column < across; column++) {
            const long from = ((image * down + r) * across + column) * s.channels;
            for (long c = 0; c < s.channels; c += LANES) {
                const lanes g = *(const lanes *)(dy + from + c);
                const numbers place = __builtin_convertvector(*(const bytes *)(which + from + c), numbers);
                float *corner = to + column * 2 * s.channels + c;
                for (int k = 0; k < 4; k++)
                    *(lanes *)(corner + k / 2 * line + k % 2 * s.channels) = (lanes)((numbers)g & (place == k));
            }
        }
        if (s.width % 2)
            for (int k = 0; k < 2; k++)
                __builtin_memset(to + k * line + (s.width - 1) * s.channels, 0, sizeof(float) * s.channels);
    }
}
