package javax.annotation;

/** The mark on everything that is generated; the archive of the generator has all else that the client imports. */
public @interface Generated {
    String[] value();

    String date() default "";

    String comments() default "";
}
